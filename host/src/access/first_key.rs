//! The first key of a host: printed once, given by the operator, or written to a file.

use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use zeroize::Zeroizing;

use super::KeyText;

/// The environment variable that may hold it.
pub const FIRST_KEY_VARIABLE: &str = "DACAPO_FIRST_KEY";

/// Where the first administrator's key comes from, or goes to. Ignored by a host that has an administrator.
#[derive(Debug, Clone, Default)]
pub enum FirstKey {
    /// It is generated, and printed once.
    #[default]
    Printed,
    Given(KeyText),
    /// It is in this file. If there is no such file, the key is generated and written there, readable by its owner only.
    File(PathBuf),
}

impl FirstKey {
    /// Reads the source from the values of the environment and the command line.
    pub fn find(text: Option<&str>, file: Option<PathBuf>) -> anyhow::Result<Self> {
        match (text.filter(|text| !text.is_empty()), file) {
            (Some(text), _) => Ok(Self::Given(parse(text).context(FIRST_KEY_VARIABLE)?)),
            (None, Some(file)) => Ok(Self::File(file)),
            (None, None) => Ok(Self::Printed),
        }
    }

    /// The key, and whether it is to be printed.
    pub(super) fn take(&self) -> anyhow::Result<(KeyText, bool)> {
        match self {
            FirstKey::Printed => Ok((KeyText::random(), true)),
            FirstKey::Given(key) => Ok((key.clone(), false)),
            FirstKey::File(path) => {
                let key = read_or_make(path).with_context(|| format!("the file of the first key, {}", path.display()))?;
                Ok((key, false))
            }
        }
    }
}

fn read_or_make(path: &Path) -> anyhow::Result<KeyText> {
    match std::fs::read_to_string(path) {
        Ok(text) => {
            #[cfg(unix)]
            {
                use std::os::unix::fs::PermissionsExt as _;
                let mode = std::fs::metadata(path)?.permissions().mode();
                ensure!(mode & 0o077 == 0, "others can read it (mode {:03o}): chmod 600 it", mode & 0o777);
            }
            parse(&Zeroizing::new(text))
        }
        Err(why) if why.kind() == ErrorKind::NotFound => {
            let key = KeyText::random();
            let mut options = std::fs::OpenOptions::new();
            options.write(true).create_new(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            let mut file = options.open(path)?;
            writeln!(file, "{}", key.as_str())?;
            file.sync_all()?;
            Ok(key)
        }
        Err(why) => Err(why.into()),
    }
}

fn parse(text: &str) -> anyhow::Result<KeyText> {
    KeyText::parse(text.trim()).context("a key is dcp_ and 43 letters, digits, '-' or '_': 32 random bytes in Base64 for URLs")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_left_in_a_file_and_found_there() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        let source = FirstKey::find(Some(""), Some(path.clone())).unwrap();
        let (key, printed) = source.take().unwrap();
        assert!(!printed);
        assert_eq!(source.take().unwrap().0, key, "it is read");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
            assert!(format!("{:#}", source.take().unwrap_err()).contains("chmod 600"));
        }
        let nowhere = FirstKey::File(directory.path().join("no/such/folder"));
        assert!(format!("{:#}", nowhere.take().unwrap_err()).contains("no/such/folder"));
    }

    #[test]
    fn a_variable_stands_above_a_file() {
        let key = KeyText::random();
        let given = FirstKey::find(Some(&format!(" {}\n", key.as_str())), Some("file".into())).unwrap();
        assert!(matches!(given, FirstKey::Given(text) if text == key));
        let wrong = format!("{:#}", FirstKey::find(Some("secret"), None).unwrap_err());
        assert!(wrong.contains(FIRST_KEY_VARIABLE) && !wrong.contains("secret"), "{wrong}");
        assert!(FirstKey::find(None, None).unwrap().take().unwrap().1);
    }
}
