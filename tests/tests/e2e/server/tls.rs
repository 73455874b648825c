//! HTTPS, and replacing certificates.

use std::path::Path;
use std::process::Command;

use dacapo_tests::wire::Wire;
use serde_json::Value;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use super::*;

/// A self-signed certificate.
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

    /// Sends a request as a client that trusts only this certificate.
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
    SelfSigned::new().get(&format!("{}/healthz", host.url())).expect_err("another certificate is not trusted");
    // The same with the command line, and with the links that it prints.
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
    drop(directory);
}

#[test]
fn who_does_not_speak_tls_is_told_so_and_nothing_else() {
    let certificates = tempfile::tempdir().unwrap();
    SelfSigned::new().write(certificates.path());
    let (host, _directory) = secure_host(certificates.path());
    let mut plain = Wire::open(host.url()).unwrap();
    plain.send("GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    let answer = plain.read_to_end().unwrap();
    assert_eq!(statuses(&answer), [400]);
    let address = host.url().replace("https://", "http://");
    let done = Command::new(dacapo_tests::host::binary().unwrap()).args(["apps", "--server", &address]).output().unwrap();
    let said = String::from_utf8(done.stderr).unwrap();
    assert!(!done.status.success() && said.contains("use https:// in the place of http://"), "{said}");
}

/// `openssl req -x509 -subj /CN=dacapo` makes a certificate that claims to be an authority's, and that contains no valid name.
/// curl accepts it with --cacert.
#[test]
fn a_certificate_that_signs_itself_is_believed_where_it_is_named() {
    let certificates = tempfile::tempdir().unwrap();
    let mut parameters = rcgen::CertificateParams::new(Vec::<String>::new()).unwrap();
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let make = || {
        let key = rcgen::KeyPair::generate().unwrap();
        SelfSigned { certificate: parameters.self_signed(&key).unwrap().pem(), key: key.serialize_pem() }
    };
    let (own, other) = (make(), make());
    own.write(certificates.path());
    let (host, _directory) = secure_host(certificates.path());
    let dacapo = |certificate: &str| {
        let path = certificates.path().join("named.pem");
        std::fs::write(&path, certificate).unwrap();
        let mut command = Command::new(dacapo_tests::host::binary().unwrap());
        command.args(["apps", "--json", "--server", host.url(), "--ca-certificate"]).arg(&path).output().unwrap()
    };
    let done = dacapo(&own.certificate);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert!(dacapo(&format!("{}{}", other.certificate, own.certificate)).status.success(), "one of several");
    assert!(!dacapo(&other.certificate).status.success(), "another one is not trusted, whatever it claims to be");
    assert!(!dacapo("-----BEGIN").status.success());
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
    logged("cannot be used", 1);
    std::fs::write(certificates.path().join("certificate.pem"), &new.certificate).unwrap();
    logged("do not match", 1);
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
    assert!(refusal().contains("do not match"));
    std::fs::write(certificates.path().join("key.pem"), "no key").unwrap();
    assert!(refusal().contains("tls.key"));
    std::fs::write(certificates.path().join("certificate.pem"), "").unwrap();
    assert!(refusal().contains("there is no certificate"));
}
