//! TLS: the certificate of the host, and its renewal while the host runs.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use sha2::{Digest as _, Sha256};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// How often the files are read and compared. Their modification times are not reliable where files are replaced through
/// links.
const RENEWAL: Duration = Duration::from_secs(2);

/// Where the certificate and its key are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// PEM: the certificate of the host first, then the intermediate ones.
    pub certificate: PathBuf,
    /// PEM: PKCS #8, PKCS #1 or SEC1.
    pub key: PathBuf,
}

/// The certificate that new connections get.
pub struct Tls {
    files: CertificateFiles,
    // Never held across an await.
    current: Mutex<Current>,
}

struct Current {
    config: Arc<ServerConfig>,
    /// The digest of what was read last, even if it could not be used.
    seen: Seen,
}

/// A digest of both files.
type Seen = [u8; 32];

impl Tls {
    /// Reads both files. The key must belong to the certificate.
    pub fn load(files: CertificateFiles) -> anyhow::Result<Self> {
        let read = files.read()?;
        let current = Mutex::new(Current { config: read.config()?, seen: read.seen() });
        Ok(Self { files, current })
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        self.lock().config.clone().into()
    }

    /// Reads the files again. A pair that cannot be used is reported once and changes nothing.
    fn renew(&self) {
        let certificate = self.files.certificate.display();
        match self.read_anew() {
            Ok(true) => tracing::info!(%certificate, "new connections get the new certificate"),
            Ok(false) => {}
            Err(error) => {
                let error = format!("{error:#}");
                tracing::error!(%certificate, error, "the new certificate cannot be used: the host keeps the one it has");
            }
        }
    }

    /// Whether there is a new certificate.
    fn read_anew(&self) -> anyhow::Result<bool> {
        let read = match self.files.read() {
            Ok(read) => read,
            // A file may also be missing while it is being replaced.
            Err(error) => return if self.is_seen(Seen::default()) { Ok(false) } else { Err(error) },
        };
        if self.is_seen(read.seen()) {
            return Ok(false);
        }
        let config = read.config()?;
        self.lock().config = config;
        Ok(true)
    }

    /// Sets what was read last, and returns whether it was the same before.
    fn is_seen(&self, seen: Seen) -> bool {
        std::mem::replace(&mut self.lock().seen, seen) == seen
    }

    fn lock(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Checks for a new certificate periodically. Never ends, even if there is no certificate.
pub(super) async fn renew(tls: Option<Arc<Tls>>) {
    let Some(tls) = tls else { return std::future::pending().await };
    loop {
        tokio::time::sleep(RENEWAL).await;
        let tls = tls.clone();
        // A panic would be a bug of the host, which keeps the certificate that it has.
        let _ = tokio::task::spawn_blocking(move || tls.renew()).await;
    }
}

struct Read {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl CertificateFiles {
    fn read(&self) -> anyhow::Result<Read> {
        let read =
            |what: &str, path: &PathBuf| std::fs::read(path).with_context(|| format!("tls.{what}: reading {}", path.display()));
        Ok(Read { certificate: read("certificate", &self.certificate)?, key: read("key", &self.key)? })
    }
}

impl Read {
    fn seen(&self) -> Seen {
        let length = (self.certificate.len() as u64).to_be_bytes();
        Sha256::new().chain_update(length).chain_update(&self.certificate).chain_update(&self.key).finalize().into()
    }

    fn config(&self) -> anyhow::Result<Arc<ServerConfig>> {
        let chain: Vec<CertificateDer> = CertificateDer::pem_slice_iter(&self.certificate)
            .collect::<Result<_, _>>()
            .context("tls.certificate: it is not PEM")?;
        ensure!(!chain.is_empty(), "tls.certificate: there is no certificate in the file");
        let key = PrivateKeyDer::from_pem_slice(&self.key).context("tls.key: there is no private key in PEM in the file")?;
        let provider = Arc::new(ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.context("choosing the versions of TLS")?.with_no_client_auth();
        let mut config = config.with_single_cert(chain, key).context("tls: the certificate and the key do not match")?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}
