//! The secrets of hubs: written over the API, never read over it, and unreadable on the disk.
//!
//! Each is encrypted with XChaCha20-Poly1305 under a key that is not in the data directory, so that a copy of the data, such as a
//! backup, reveals no secret. Hub and name are authenticated with it: a secret that is moved in the file to another hub or name
//! cannot be decrypted.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

use dacapo_store::control::{AuditEntry, ControlError, ControlFile};

/// The variable that may hold the key itself.
pub const KEY_VARIABLE: &str = "DACAPO_SECRETS_KEY";

/// A secret is a password, a token or a certificate, not a file.
pub const SECRET_BYTES_MAX: usize = 64 << 10;

const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;

/// The key that secrets are encrypted with.
pub struct SecretsKey(Zeroizing<[u8; KEY_BYTES]>);

/// Where a host finds its key.
#[derive(Debug, Clone, Default)]
pub struct SecretsKeySource {
    /// The key as a text, from the environment.
    pub text: Option<Zeroizing<String>>,
    pub file: Option<PathBuf>,
}

/// The secrets of all hubs.
pub struct Secrets {
    control: Arc<ControlFile>,
    cipher: Option<XChaCha20Poly1305>,
}

#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error(
        "this host has no key for secrets: `dacapo new-secrets-key FILE` makes one, and secrets.key_file of the configuration \
         names it; or {KEY_VARIABLE} holds the key itself"
    )]
    NoKey,
    /// The key is not the one that it was encrypted with, or the file was changed.
    #[error("the secret '{name}' of the task hub '{hub}' cannot be decrypted with the key of this host")]
    CannotOpen { hub: String, name: String },
    #[error("there is no secret '{0}'")]
    Missing(String),
    #[error(transparent)]
    Control(#[from] ControlError),
}

impl SecretsKey {
    pub fn random() -> Self {
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        getrandom::fill(bytes.as_mut_slice()).expect("the system has random numbers");
        Self(bytes)
    }

    /// Reads 32 bytes in Base64.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let wrong = || format!("a key for secrets is {KEY_BYTES} bytes in Base64; `dacapo new-secrets-key` makes one");
        let bytes = Zeroizing::new(BASE64_STANDARD.decode(text.trim()).ok().with_context(wrong)?);
        Ok(Self(Zeroizing::new(bytes.as_slice().try_into().ok().with_context(wrong)?)))
    }

    pub fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(BASE64_STANDARD.encode(self.0.as_slice()))
    }

    /// Finds the key of this host, if the operator has set one. Fails if it is stored with the data that it protects, or if
    /// others can read it.
    pub fn find(source: &SecretsKeySource, data: &Path) -> anyhow::Result<Option<Self>> {
        if let Some(text) = &source.text {
            return Self::parse(text).context(KEY_VARIABLE).map(Some);
        }
        let Some(path) = &source.file else { return Ok(None) };
        Self::read(path, data).with_context(|| format!("secrets.key_file {}", path.display())).map(Some)
    }

    fn read(path: &Path, data: &Path) -> anyhow::Result<Self> {
        let path = path.canonicalize()?;
        ensure!(
            !path.starts_with(data),
            "it must not be in the data directory: a copy of that would contain both the secrets and their key"
        );
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = std::fs::metadata(&path)?.permissions().mode();
            ensure!(mode & 0o077 == 0, "others can read it (mode {:03o}): chmod 600 it", mode & 0o777);
        }
        Self::parse(&Zeroizing::new(std::fs::read_to_string(&path)?))
    }

    /// Writes a new file that only its owner can read.
    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        use std::io::Write as _;
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        match options.open(path) {
            Err(why) if why.kind() == std::io::ErrorKind::AlreadyExists => {
                bail!("{} exists: what was encrypted with the key in it would be lost", path.display())
            }
            opened => {
                let mut file = opened.with_context(|| format!("making {}", path.display()))?;
                file.write_all(self.to_text().as_bytes())?;
                Ok(file.write_all(b"\n").and_then(|()| file.sync_all())?)
            }
        }
    }
}

impl Secrets {
    pub fn new(control: Arc<ControlFile>, key: Option<&SecretsKey>) -> Self {
        let cipher = key.map(|key| XChaCha20Poly1305::new(key.0.as_slice().try_into().expect("it has 32 bytes")));
        Self { control, cipher }
    }

    /// Stores a secret of a hub. Replaces one of the same name.
    pub fn set(&self, hub: &str, name: &str, secret: &str, entry: &AuditEntry) -> Result<(), SecretError> {
        let cipher = self.cipher.as_ref().ok_or(SecretError::NoKey)?;
        // Long enough that a random nonce never repeats.
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).expect("the system has random numbers");
        let bound = bound_to(hub, name);
        let sealed = cipher.encrypt(&XNonce::from(nonce), Payload { msg: secret.as_bytes(), aad: &bound });
        let sealed = [nonce.as_slice(), &sealed.expect("a secret is far shorter than the cipher allows")].concat();
        Ok(self.control.put_secret(hub, name, &sealed, entry)?)
    }

    /// Decrypts a secret, for the policy of a hub that may use it.
    pub fn open(&self, hub: &str, name: &str) -> Result<Zeroizing<String>, SecretError> {
        let cipher = self.cipher.as_ref().ok_or(SecretError::NoKey)?;
        let sealed = self.control.secret(hub, name)?.ok_or_else(|| SecretError::Missing(name.into()))?;
        let opened = sealed.split_first_chunk::<NONCE_BYTES>().and_then(|(nonce, sealed)| {
            let payload = Payload { msg: sealed, aad: &bound_to(hub, name) };
            let text = cipher.decrypt(&XNonce::from(*nonce), payload).ok()?;
            String::from_utf8(text).ok().map(Zeroizing::new)
        });
        opened.ok_or_else(|| SecretError::CannotOpen { hub: hub.into(), name: name.into() })
    }
}

/// The associated data of a secret. Unambiguous, because a hub's name has no NUL.
fn bound_to(hub: &str, name: &str) -> Vec<u8> {
    [hub.to_ascii_lowercase().as_bytes(), b"\0", name.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use dacapo_store::control::{HubRecord, Scope};

    struct World {
        control: Arc<ControlFile>,
        directory: tempfile::TempDir,
    }

    fn world() -> World {
        let directory = tempfile::tempdir().unwrap();
        let control = Arc::new(ControlFile::open(&directory.path().join("control.redb")).unwrap());
        for name in ["Blue", "Red"] {
            control.create_hub(&HubRecord { name: name.into(), ..HubRecord::default() }, &told()).unwrap();
        }
        World { control, directory }
    }

    fn told() -> AuditEntry {
        let scope = Scope::Host;
        AuditEntry { at: 0, actor: "test".into(), scope, action: "test".into(), details: Default::default(), denied: false }
    }

    #[test]
    fn a_secret_opens_where_it_was_put_and_nowhere_else() {
        let world = world();
        let secrets = Secrets::new(world.control.clone(), Some(&SecretsKey::random()));
        secrets.set("Blue", "token", "s3cr3t-ü", &told()).unwrap();
        assert_eq!(secrets.open("BLUE", "token").unwrap().as_str(), "s3cr3t-ü");
        assert!(matches!(secrets.open("Red", "token"), Err(SecretError::Missing(_))));
        let sealed = world.control.secret("blue", "token").unwrap().unwrap();
        assert!(!sealed.windows(6).any(|bytes| bytes == b"s3cr3t"));
        for (hub, name) in [("Red", "token"), ("Blue", "other")] {
            world.control.put_secret(hub, name, &sealed, &told()).unwrap();
            assert!(matches!(secrets.open(hub, name), Err(SecretError::CannotOpen { .. })), "{hub} {name}");
        }
        let other = Secrets::new(world.control.clone(), Some(&SecretsKey::random()));
        assert!(matches!(other.open("Blue", "token"), Err(SecretError::CannotOpen { .. })));
        assert!(matches!(Secrets::new(world.control.clone(), None).open("Blue", "token"), Err(SecretError::NoKey)));
    }

    #[test]
    fn a_key_lies_elsewhere_and_is_nobody_elses() {
        let world = world();
        let data = world.directory.path().join("data").canonicalize().or_else(|_| {
            std::fs::create_dir(world.directory.path().join("data"))
                .and_then(|()| world.directory.path().join("data").canonicalize())
        });
        let data = data.unwrap();
        let find = |path: &Path| SecretsKey::find(&SecretsKeySource { text: None, file: Some(path.into()) }, &data);
        let refused = |path: &Path| format!("{:#}", find(path).err().expect("it is refused"));

        let path = world.directory.path().join("key");
        let key = SecretsKey::random();
        key.write(&path).unwrap();
        assert!(format!("{:#}", key.write(&path).unwrap_err()).contains("exists"));
        assert_eq!(find(&path).unwrap().expect("it is there").to_text(), key.to_text());

        let inside = data.join("key");
        key.write(&inside).unwrap();
        assert!(refused(&inside).contains("data directory"));
        std::os::unix::fs::symlink(&inside, world.directory.path().join("link")).unwrap();
        assert!(refused(&world.directory.path().join("link")).contains("data directory"));
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o640)).unwrap();
        assert!(refused(&path).contains("mode 640"));
        assert!(refused(&world.directory.path().join("none")).contains("none"));

        let text = |text: &str| SecretsKeySource { text: Some(Zeroizing::new(text.into())), file: None };
        assert!(SecretsKey::find(&text(&key.to_text()), &data).unwrap().is_some());
        for wrong in ["", "abc", "not base64!", "YWJj"] {
            assert!(SecretsKey::find(&text(wrong), &data).is_err(), "{wrong}");
        }
        assert!(SecretsKey::find(&SecretsKeySource::default(), &data).unwrap().is_none());
    }
}
