//! HTTPS, and certificates that change.

use std::path::Path;
use std::process::Command;

use dacapo_tests::wire::Wire;
use serde_json::Value;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use super::*;

/// A certificate that signs itself.
struct SelfSigned {
    certificate: String,
    key: String,
}

impl SelfSigned {
    fn new() -> Self {
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        Self { certificate: made.cert.pem(), key: made.signing_key.serialize_pem() }
    }

    fn write(&self, directory: &Path) {
        std::fs::write(directory.join("key.pem"), &self.key).unwrap();
        std::fs::write(directory.join("certificate.pem"), &self.certificate).unwrap();
    }

    /// A client that believes nobody else.
    fn get(&self, url: &str) -> Result<Value, ureq::Error> {
        let root = Certificate::from_pem(self.certificate.as_bytes()).unwrap();
        let tls = TlsConfig::builder().root_certs(RootCerts::new_with_certs(&[root])).build();
        let agent: ureq::Agent = ureq::Agent::config_builder().tls_config(tls).build().into();
        let text = agent.get(url).call()?.into_body().read_to_string()?;
        Ok(serde_json::from_str(&text).unwrap())
    }
}

fn secure_host(certificates: &Path) -> (Host, tempfile::TempDir) {
    let file = |key: &str, name: &str| format!("tls.{key}={}", certificates.join(name).display());
    host(&[&file("certificate", "certificate.pem"), &file("key", "key.pem")])
}

#[test]
fn everything_is_said_over_tls() {
    let certificates = tempfile::tempdir().unwrap();
    let own = SelfSigned::new();
    own.write(certificates.path());
    let (host, directory) = secure_host(certificates.path());
    assert!(host.url().starts_with("https://"), "{}", host.url());
    assert_eq!(own.get(&format!("{}/healthz", host.url())).unwrap()["status"], "ok");
    SelfSigned::new().get(&format!("{}/healthz", host.url())).expect_err("another certificate is not believed");
    // The command line too, and the links that it is given.
    let wasm = dacapo_tests::guest_path("example-hello-sequence").unwrap();
    let dacapo = |arguments: &[&str]| {
        let mut command = Command::new(dacapo_tests::host::binary().unwrap());
        command.args(arguments).args(["--json", "--server", host.url()]);
        let done = command.arg("--ca-certificate").arg(certificates.path().join("certificate.pem")).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap()
    };
    dacapo(&["deploy", wasm.to_str().unwrap()]);
    let started: Value = serde_json::from_str(&dacapo(&["start-new", "--function-name", "hello_sequence"])).unwrap();
    let link = started["statusQueryGetUri"].as_str().unwrap();
    assert!(link.starts_with(host.url()), "{link}");
    assert_eq!(own.get(link).unwrap()["name"], "hello_sequence");
    // Whoever does not speak TLS learns nothing.
    let mut plain = Wire::open(host.url()).unwrap();
    plain.send("GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    assert_eq!(statuses(&plain.read_to_end().unwrap()), [0; 0]);
    drop(directory);
}

#[test]
fn a_new_certificate_is_taken_and_a_broken_one_is_not() {
    let certificates = tempfile::tempdir().unwrap();
    let (old, new) = (SelfSigned::new(), SelfSigned::new());
    old.write(certificates.path());
    let (host, _directory) = secure_host(certificates.path());
    let health = format!("{}/healthz", host.url());
    let logged = |what: &str, times: usize| {
        while host.log().matches(what).count() < times {
            std::thread::yield_now();
        }
    };
    std::fs::write(certificates.path().join("certificate.pem"), "-----BEGIN").unwrap();
    logged("is of no use", 1);
    std::fs::write(certificates.path().join("certificate.pem"), &new.certificate).unwrap();
    logged("do not fit together", 1);
    old.get(&health).unwrap();
    std::fs::write(certificates.path().join("key.pem"), &new.key).unwrap();
    logged("the new certificate", 3);
    new.get(&health).unwrap();
    old.get(&health).expect_err("the old one is gone");
}

#[test]
fn a_certificate_that_cannot_be_used_is_told_at_the_start() {
    let certificates = tempfile::tempdir().unwrap();
    let refusal = || {
        let directory = tempfile::tempdir().unwrap();
        let settings = ["certificate", "key"]
            .map(|key| format!("--set=tls.{key}={}", certificates.path().join(format!("{key}.pem")).display()));
        let mut serve = Command::new(dacapo_tests::host::binary().unwrap());
        serve.arg("serve").args(settings).args(["--address", "127.0.0.1:0", "--data"]).arg(directory.path());
        let done = serve.output().unwrap();
        assert!(!done.status.success());
        String::from_utf8(done.stderr).unwrap()
    };
    assert!(refusal().contains("tls.certificate: reading"));
    let (one, other) = (SelfSigned::new(), SelfSigned::new());
    one.write(certificates.path());
    std::fs::write(certificates.path().join("key.pem"), &other.key).unwrap();
    assert!(refusal().contains("do not fit together"));
    std::fs::write(certificates.path().join("key.pem"), "no key").unwrap();
    assert!(refusal().contains("tls.key"));
    std::fs::write(certificates.path().join("certificate.pem"), "").unwrap();
    assert!(refusal().contains("there is no certificate"));
}
