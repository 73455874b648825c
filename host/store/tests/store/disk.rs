//! A disk that loses power, fills up and fails.
//!
//! Synced bytes are kept apart from those that were only written. After a power failure, unsynced writes may be there completely,
//! in part, in any order, or not at all; synced bytes are there.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use dacapo_store::redb::Medium;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use redb::{Builder, Database, DatabaseError, StorageBackend};

const SECTOR: usize = 512;
const BLOCK: u64 = 4_096;

/// A disk. Clones are handles of the same disk.
#[derive(Debug, Clone, Default)]
pub struct Disk(Arc<Mutex<Platter>>);

#[derive(Debug, Default)]
struct Platter {
    synced: Vec<u8>,
    unsynced: Vec<Change>,
    /// Whether the file has its name: before that, a power failure leaves no file.
    named: bool,
    /// The contents that a reader sees, including unsynced writes.
    seen: Vec<u8>,
    /// The number of operations until power fails.
    fuse: Option<u64>,
    dark: bool,
    /// Blocks that were ever written, and the number of further ones that fit.
    blocks: BTreeSet<u64>,
    room: Option<u64>,
    next_sync: Option<SyncFault>,
    failing_reads: u32,
}

#[derive(Debug, Clone)]
enum Change {
    Write { at: usize, bytes: Vec<u8> },
    Length(usize),
}

/// How a sync fails.
#[derive(Debug, Clone, Copy)]
pub enum SyncFault {
    /// Everything was written, but an error is reported.
    AfterWriting,
    /// Nothing was written, and readers see that.
    Losing,
}

impl Disk {
    fn lock(&self) -> MutexGuard<'_, Platter> {
        self.0.lock().expect("no holder of this lock panics")
    }

    /// Makes power fail after this many more operations that change the disk.
    pub fn light_fuse(&self, operations: u64) {
        self.lock().fuse = Some(operations);
    }

    pub fn is_dark(&self) -> bool {
        self.lock().dark
    }

    /// Restores power. `rng` decides what is left of unsynced writes.
    pub fn power_up(&self, rng: &mut StdRng) {
        let mut platter = self.lock();
        if !platter.named {
            *platter = Platter::default();
            return;
        }
        let mut bytes = std::mem::take(&mut platter.synced);
        for change in survivors(std::mem::take(&mut platter.unsynced), rng) {
            change.apply(&mut bytes);
        }
        *platter = Platter { seen: bytes.clone(), synced: bytes, named: true, ..Platter::default() };
    }

    /// Limits the number of further blocks that can be written. None: no limit.
    pub fn leave_room(&self, blocks: Option<u64>) {
        self.lock().room = blocks;
    }

    pub fn fail_next_sync(&self, fault: SyncFault) {
        self.lock().next_sync = Some(fault);
    }

    pub fn fail_reads(&self, count: u32) {
        self.lock().failing_reads = count;
    }
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Change::Length(length) => bytes.resize(*length, 0),
            Change::Write { at, bytes: written } => {
                if bytes.len() < at + written.len() {
                    bytes.resize(at + written.len(), 0);
                }
                bytes[*at..at + written.len()].copy_from_slice(written);
            }
        }
    }

    /// Splits the change into pieces that a disk writes separately.
    fn pieces(self, size: usize) -> Vec<Change> {
        match self {
            Change::Length(length) => vec![Change::Length(length)],
            Change::Write { at, bytes } => {
                let pieces = bytes.chunks(size).enumerate();
                pieces.map(|(number, piece)| Change::Write { at: at + number * size, bytes: piece.to_vec() }).collect()
            }
        }
    }
}

/// Returns what is left of unsynced changes.
fn survivors(changes: Vec<Change>, rng: &mut StdRng) -> Vec<Change> {
    // Whole writes, whole sectors, or torn anywhere.
    let size = *[usize::MAX, SECTOR, SECTOR, 64].get(rng.random_range(0..4)).expect("four sizes");
    let mut pieces: Vec<Change> = changes.into_iter().flat_map(|change| change.pieces(size)).collect();
    match rng.random_range(0..6) {
        0 => pieces.clear(),
        1 => {}
        // In order, up to some point.
        2 => pieces.truncate(rng.random_range(0..=pieces.len())),
        // All but one.
        3 if !pieces.is_empty() => drop(pieces.swap_remove(rng.random_range(0..pieces.len()))),
        // Any of them, in any order.
        _ => {
            let chance = rng.random_range(0.0..1.0);
            pieces.retain(|_| rng.random_bool(chance));
            if rng.random_bool(0.5) {
                pieces.shuffle(rng);
            }
        }
    }
    pieces
}

impl Platter {
    fn operate(&mut self) -> io::Result<()> {
        match &mut self.fuse {
            Some(0) => self.dark = true,
            Some(left) => *left -= 1,
            None => {}
        }
        self.check_power()
    }

    fn check_power(&self) -> io::Result<()> {
        if self.dark { Err(io::Error::other("the power is off")) } else { Ok(()) }
    }

    fn change(&mut self, change: Change) {
        change.apply(&mut self.seen);
        self.unsynced.push(change);
    }

    /// Allocates the new blocks of a write.
    fn allocate(&mut self, at: u64, length: u64) -> io::Result<()> {
        let blocks = at / BLOCK..(at + length).div_ceil(BLOCK);
        let new: Vec<u64> = blocks.filter(|block| !self.blocks.contains(block)).collect();
        if let Some(room) = &mut self.room {
            *room = room.checked_sub(new.len() as u64).ok_or(io::ErrorKind::StorageFull)?;
        }
        self.blocks.extend(new);
        Ok(())
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        let platter = self.lock();
        platter.check_power()?;
        Ok(platter.seen.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let mut platter = self.lock();
        platter.check_power()?;
        if platter.failing_reads > 0 {
            platter.failing_reads -= 1;
            return Err(io::Error::other("a sector cannot be read"));
        }
        let range = offset as usize..offset as usize + out.len();
        out.copy_from_slice(platter.seen.get(range).ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let mut platter = self.lock();
        platter.operate()?;
        platter.change(Change::Length(length as usize));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut platter = self.lock();
        platter.operate()?;
        let fault = platter.next_sync.take();
        if let Some(SyncFault::Losing) = fault {
            platter.unsynced.clear();
            platter.seen = platter.synced.clone();
            return Err(io::Error::other("the sync failed"));
        }
        for change in std::mem::take(&mut platter.unsynced) {
            change.apply(&mut platter.synced);
        }
        match fault {
            Some(_) => Err(io::Error::other("the sync failed")),
            None => Ok(()),
        }
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut platter = self.lock();
        platter.operate()?;
        platter.allocate(offset, data.len() as u64)?;
        platter.change(Change::Write { at: offset as usize, bytes: data.to_vec() });
        Ok(())
    }
}

impl Medium for Disk {
    fn open(&self, builder: &Builder) -> Result<Database, DatabaseError> {
        let database = builder.create_with_backend(self.clone())?;
        // As a file gets its name when redb has created it.
        self.lock().named = true;
        Ok(database)
    }

    fn size(&self) -> u64 {
        self.lock().seen.len() as u64
    }

    fn path(&self) -> &Path {
        Path::new("(a disk in memory)")
    }
}

#[test]
fn a_disk_keeps_what_was_synced_and_any_part_of_the_rest() {
    let mut kept = BTreeSet::new();
    for seed in 0..200 {
        let mut rng = StdRng::seed_from_u64(seed);
        let disk = Disk::default();
        disk.lock().named = true;
        disk.write(0, &[1; 1_024]).expect("there is power");
        disk.sync_data().expect("there is power");
        disk.light_fuse(1);
        disk.write(512, &[2; 1_024]).expect("the last operation");
        assert!(disk.write(0, &[3; 9]).is_err() && disk.is_dark());
        disk.power_up(&mut rng);
        let bytes = disk.lock().seen.clone();
        assert_eq!(bytes[..512], [1; 512], "synced and not written again");
        kept.insert(bytes.iter().filter(|byte| **byte == 2).count());
    }
    assert!(kept.contains(&0) && kept.contains(&512) && kept.contains(&1_024) && kept.len() > 5, "{kept:?}");
}
