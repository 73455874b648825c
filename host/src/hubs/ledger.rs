//! What hubs have used: the stored sums, and what was counted since.
//!
//! The whole sum of a hub is stored each time, so that saving it again, after an attempt that failed or whose outcome is unknown,
//! changes nothing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use dacapo_store::control::{ControlError, ControlFile};

use crate::meters::{HubUsage, Meters};

/// A hub's meters, and the folded name of the hub.
pub(super) type MeterOf = (String, Arc<Meters>);

pub(super) struct Ledger {
    control: Arc<ControlFile>,
    // Held while the control file is read or written, which may block: a reader must not miss what a writer is about to store.
    unsaved: Mutex<HashMap<String, HubUsage>>,
}

/// All methods may block on the disk.
impl Ledger {
    pub fn new(control: Arc<ControlFile>) -> Self {
        Self { control, unsaved: Mutex::default() }
    }

    /// The sums that are to replace the stored ones, by folded name.
    fn unsaved(&self) -> MutexGuard<'_, HashMap<String, HubUsage>> {
        self.unsaved.lock().expect("no holder of this lock panics")
    }

    /// Empties the meters, and adds what was in them to the stored sums, in one transaction.
    pub fn save(&self, meters: &[MeterOf]) -> Result<(), ControlError> {
        let mut unsaved = self.unsaved();
        for (hub, meters) in meters {
            if meters.read().is_nothing() {
                continue;
            }
            let mut sum = match unsaved.remove(hub) {
                Some(sum) => sum,
                None => self.control.usage(hub)?.unwrap_or_default(),
            };
            sum.add(&meters.take());
            unsaved.insert(hub.clone(), sum);
        }
        if !unsaved.is_empty() {
            self.control.put_usages(&unsaved)?;
            unsaved.clear();
        }
        Ok(())
    }

    /// Returns what a hub has used since it was created.
    pub fn of(&self, hub: &str, meters: Option<&Meters>) -> Result<HubUsage, ControlError> {
        let unsaved = self.unsaved();
        let mut sum = match unsaved.get(hub) {
            Some(sum) => sum.clone(),
            None => self.control.usage(hub)?.unwrap_or_default(),
        };
        meters.into_iter().for_each(|meters| sum.add(&meters.read()));
        Ok(sum)
    }

    /// Returns what all hubs have used, by folded name. Hubs that have never used anything are missing.
    pub fn all(&self, meters: &[MeterOf]) -> Result<HashMap<String, HubUsage>, ControlError> {
        let unsaved = self.unsaved();
        let mut sums: HashMap<String, HubUsage> = self.control.usages()?;
        sums.extend(unsaved.iter().map(|(hub, sum)| (hub.clone(), sum.clone())));
        for (hub, meters) in meters {
            sums.entry(hub.clone()).or_default().add(&meters.read());
        }
        Ok(sums)
    }

    /// Lets `delete` remove a hub with its stored sum, and drops the rest, so that a new hub of the same name begins at zero.
    pub fn forget(
        &self,
        hub: &str,
        meters: &Meters,
        delete: impl FnOnce(&ControlFile) -> Result<(), ControlError>,
    ) -> Result<(), ControlError> {
        let mut unsaved = self.unsaved();
        delete(&self.control)?;
        unsaved.remove(hub);
        meters.take();
        Ok(())
    }
}
