//! Sub-orchestrations: a parent provisions several devices in parallel, each with its own child orchestration.

use dacapo_sdk::prelude::*;

#[derive(Serialize, Deserialize)]
struct Report {
    ready: Vec<Device>,
    /// Devices that could not be provisioned, and why.
    failed: Vec<(String, Failure)>,
}

#[derive(Serialize, Deserialize)]
struct Device {
    name: String,
    serial: String,
    firmware: u32,
}

#[orchestrator]
async fn provision_devices(ctx: Context, names: Option<Vec<String>>) -> Result<Report> {
    let names = names.unwrap_or_else(|| ["lamp", "lock", "thermostat"].map(String::from).to_vec());
    let children: Vec<_> = names
        .iter()
        .map(|name| {
            let id = format!("{}-{name}", ctx.instance_id());
            ctx.call_sub_orchestrator::<provision_device>(name.clone()).instance_id(id).start()
        })
        .collect();
    let mut report = Report { ready: Vec::new(), failed: Vec::new() };
    for (name, child) in names.into_iter().zip(children) {
        match child.await {
            Ok(device) => report.ready.push(device),
            Err(failure) => report.failed.push((name, failure)),
        }
    }
    Ok(report)
}

#[orchestrator]
async fn provision_device(ctx: Context, name: String) -> Result<Device> {
    let parent = ctx.parent().map(|parent| parent.instance_id);
    ctx.log_info(format!("provisioning {name} for {}", parent.as_deref().unwrap_or("nobody")));
    let serial = ctx.call_activity::<register>(name.clone()).await?;
    let firmware = ctx
        .call_activity::<update_firmware>(serial.clone())
        .retry(RetryPolicy::new(4, Duration::from_millis(50)).backoff(2.0))
        .await?;
    ctx.create_timer(Duration::from_millis(100)).await?; // the device restarts
    Ok(Device { name, serial, firmware })
}

/// Registers the device and returns its serial number.
#[activity]
fn register(name: String) -> Result<String> {
    if name.trim().is_empty() {
        return Err(Failure::new("InvalidDevice", "a device has a name").not_retriable());
    }
    let number = name.bytes().fold(17_u32, |number, byte| number.wrapping_mul(31).wrapping_add(byte.into()));
    Ok(format!("{number:08X}"))
}

/// Simulates a device that is slow to answer: the first attempt fails.
#[activity]
fn update_firmware(ctx: ActivityContext, serial: String) -> Result<u32> {
    match ctx.attempt() {
        1 => Err(Failure::new("Unreachable", format!("{serial} does not answer"))),
        attempt => Ok(200 + attempt),
    }
}

dacapo_sdk::app!(provision_devices, provision_device, register, update_firmware);
