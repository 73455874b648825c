//! The redb backend passes the conformance suite of stores.

use dacapo_store::conformance::{Hub, conformance};
use dacapo_store::{QuickRepair, RedbStore, Store, StoreOptions};
use tempfile::TempDir;

struct RedbHub {
    directory: TempDir,
    options: StoreOptions,
}

impl Hub for RedbHub {
    fn open(&self) -> Box<dyn Store> {
        let path = self.directory.path().join("hub.redb");
        Box::new(RedbStore::open(&path, self.options.clone()).expect("no other process has the file"))
    }
}

fn new_hub(quick_repair: QuickRepair) -> RedbHub {
    let directory = tempfile::tempdir().expect("a writable directory for temporary files");
    RedbHub { directory, options: StoreOptions { quick_repair, ..StoreOptions::default() } }
}

#[test]
fn redb_conforms() {
    conformance(|| new_hub(QuickRepair::Never));
}

#[test]
fn redb_with_quick_repair_conforms() {
    conformance(|| new_hub(QuickRepair::Always));
}
