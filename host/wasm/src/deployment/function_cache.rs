//! Compiled functions of what a tenant deployed before, so that a new version of an app is compiled only where it has changed.
//!
//! An entry's key is a digest of what the compiler is given for a function, with the version of the compiler and its settings
//! (`cranelift_codegen::incremental_cache`), so an entry that is found is what would be compiled. A tenant has a file of its own: it
//! cannot learn from the time that a compilation takes what others have deployed.
//!
//! ```text
//!   file     MAGIC entry*
//!   entry    key (32 bytes), length of the code (u32, little endian), check (32 bytes: SHA-256 of key and code), code
//! ```

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs;
use std::io::{self, Write};
use std::ops::Range;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use sha2::{Digest, Sha256};
use wasmtime::CacheStore;

/// Changes with the form of the file.
const MAGIC: &[u8; 16] = b"dacapo functions";

const KEY_BYTES: usize = 32;
const HEAD_BYTES: usize = KEY_BYTES + 4 + 32;

/// Bytes of the entries of a tenant's file. (A large Python app has about 30 MiB of compiled functions.)
const BYTES_MAX: usize = 128 << 20;

/// Reads a file for [`FunctionCache::new`]. Without one, or if it is none that was written here, all is compiled.
pub fn read_functions(path: &Path) -> Vec<u8> {
    let is_too_large = fs::metadata(path).is_ok_and(|metadata| metadata.len() > (MAGIC.len() + BYTES_MAX) as u64);
    if is_too_large { Vec::new() } else { fs::read(path).unwrap_or_default() }
}

type Key = [u8; KEY_BYTES];

/// The compiled functions that one compilation finds and makes.
#[derive(Debug, Default)]
pub(crate) struct FunctionCache {
    /// The file of earlier compilations.
    earlier: Vec<u8>,
    /// Where the code of a function is in it.
    places: HashMap<Key, Range<usize>>,
    new: Mutex<New>,
}

#[derive(Debug, Default)]
struct New {
    compiled: HashMap<Key, Vec<u8>>,
    /// Of the earlier ones.
    used: HashMap<Key, Range<usize>>,
}

impl FunctionCache {
    /// Takes over the file of earlier compilations. What is damaged of it is compiled again.
    pub fn new(earlier: Vec<u8>) -> Self {
        let mut places = HashMap::new();
        let mut at = MAGIC.len();
        let is_known = earlier.starts_with(MAGIC);
        while let Some(head) = earlier.get(at..at + HEAD_BYTES).filter(|_| is_known) {
            let (key, rest) = head.split_first_chunk::<KEY_BYTES>().expect("the head is longer");
            let (length, _) = rest.split_first_chunk().expect("the head is longer");
            let code = at + HEAD_BYTES;
            let end = code + u32::from_le_bytes(*length) as usize;
            if end > earlier.len() {
                break;
            }
            places.insert(*key, code..end);
            at = end;
        }
        Self { earlier, places, new: Mutex::default() }
    }

    /// Writes the file for the next compilation: what this one used and made, and what else there is room for.
    pub fn write(&self, to: impl Write) -> io::Result<()> {
        let mut to = io::BufWriter::new(to);
        to.write_all(MAGIC)?;
        let new = self.lock();
        let mut room = BYTES_MAX;
        let mut has_room = |bytes: usize| {
            let left = room.checked_sub(bytes);
            room = left.unwrap_or(room);
            left.is_some()
        };
        for (key, code) in &new.compiled {
            let Ok(length) = u32::try_from(code.len()) else { continue };
            if has_room(HEAD_BYTES + code.len()) {
                to.write_all(key)?;
                to.write_all(&length.to_le_bytes())?;
                to.write_all(&check(key, code))?;
                to.write_all(code)?;
            }
        }
        let unused = self.places.iter().filter(|(key, _)| !new.used.contains_key(*key) && !new.compiled.contains_key(*key));
        for place in new.used.values().chain(unused.map(|(_, place)| place)) {
            // As it was, with its check: nobody has looked whether what is unused is damaged.
            let entry = &self.earlier[place.start - HEAD_BYTES..place.end];
            if has_room(entry.len()) {
                to.write_all(entry)?;
            }
        }
        to.flush()
    }

    fn lock(&self) -> MutexGuard<'_, New> {
        self.new.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn check(key: &Key, code: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update(key).chain_update(code).finalize().into()
}

impl CacheStore for FunctionCache {
    fn get(&self, key: &[u8]) -> Option<Cow<'_, [u8]>> {
        let key = Key::try_from(key).ok()?;
        let place = self.places.get(&key)?;
        let code = &self.earlier[place.clone()];
        if self.earlier[place.start - 32..place.start] != check(&key, code) {
            return None;
        }
        self.lock().used.insert(key, place.clone());
        Some(Cow::Borrowed(code))
    }

    fn insert(&self, key: &[u8], value: Vec<u8>) -> bool {
        let Ok(key) = Key::try_from(key) else { return false };
        self.lock().compiled.insert(key, value);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file with these entries.
    fn file(entries: &[(Key, &[u8])]) -> Vec<u8> {
        let cache = FunctionCache::default();
        for (key, code) in entries {
            assert!(cache.insert(key, code.to_vec()));
        }
        written(&cache)
    }

    fn written(cache: &FunctionCache) -> Vec<u8> {
        let mut file = Vec::new();
        cache.write(&mut file).unwrap();
        file
    }

    const A: Key = [1; 32];
    const B: Key = [2; 32];
    const C: Key = [3; 32];

    #[test]
    fn what_one_compilation_made_the_next_one_finds() {
        let cache = FunctionCache::new(file(&[(A, b"code of a"), (B, b"code of b")]));
        assert_eq!(cache.get(&A).as_deref(), Some(&b"code of a"[..]));
        assert_eq!(cache.get(&C), None);
        assert!(cache.insert(&C, b"code of c".to_vec()));
        // B, which it did not use, is kept for the next as well: another app of the task hub may have it.
        let next = FunctionCache::new(written(&cache));
        let all = [(A, "code of a"), (B, "code of b"), (C, "code of c")];
        assert!(all.iter().all(|(key, code)| next.get(key).as_deref() == Some(code.as_bytes())));
    }

    /// The file is not durable: after a crash it may be torn, or hold anything.
    #[test]
    fn damaged_code_is_never_used() {
        let whole = file(&[(A, b"code of a"), (B, b"code of b")]);
        for length in 0..whole.len() {
            let cache = FunctionCache::new(whole[..length].to_vec());
            assert!(cache.get(&A).is_none_or(|code| *code == b"code of a"[..] || *code == b"code of b"[..]));
            assert!(cache.get(&A).is_none() || cache.get(&B).is_none(), "{length} bytes hold both");
        }
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            // Nor after the next compilation, which used to write it with a new check.
            let kept = written(&FunctionCache::new(damaged.clone()));
            for cache in [damaged, kept].map(FunctionCache::new) {
                for (key, code) in [(A, b"code of a"), (B, b"code of b")] {
                    assert!(cache.get(&key).is_none_or(|found| *found == code[..]), "byte {at} is damaged");
                }
            }
        }
    }

    #[test]
    fn what_was_used_last_is_kept_if_not_all_has_room() {
        let large = vec![0; BYTES_MAX / 2 - HEAD_BYTES];
        let cache = FunctionCache::new(file(&[(A, &large), (B, &large)]));
        assert!(cache.get(&B).is_some());
        assert!(cache.insert(&C, large.clone()));
        let file = written(&cache);
        assert!(file.len() <= MAGIC.len() + BYTES_MAX);
        let next = FunctionCache::new(file);
        assert_eq!([A, B, C].map(|key| next.get(&key).is_some()), [false, true, true]);
    }
}
