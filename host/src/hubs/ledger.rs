//! What hubs have used: stored, and counted since.
//!
//! What is stored of a hub is its whole sum, so that saving it again, after an attempt that failed or that nobody knows the end of,
//! changes nothing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use dacapo_store::control::{ControlError, ControlFile};

use crate::meters::{HubUsage, Meters};

/// A hub's meters, and the folded name of the hub.
pub(super) type MeterOf = (String, Arc<Meters>);

pub(super) struct Ledger {
    control: Arc<ControlFile>,
    // Held while the control file is read or written, by whoever may block: a reader must not miss what a writer has in hand.
    unsaved: Mutex<HashMap<String, HubUsage>>,
}

/// All methods may block on the disk.
impl Ledger {
    pub fn new(control: Arc<ControlFile>) -> Self {
        Self { control, unsaved: Mutex::default() }
    }

    /// By folded name, the sums that are to be stored in the place of the former ones.
    fn unsaved(&self) -> MutexGuard<'_, HashMap<String, HubUsage>> {
        self.unsaved.lock().expect("no holder of this lock panics")
    }

    /// Empties the meters, and stores what was in them, in one transaction.
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

    /// What a hub has used since it was made.
    pub fn of(&self, hub: &str, meters: Option<&Meters>) -> Result<HubUsage, ControlError> {
        let unsaved = self.unsaved();
        let mut sum = match unsaved.get(hub) {
            Some(sum) => sum.clone(),
            None => self.control.usage(hub)?.unwrap_or_default(),
        };
        meters.into_iter().for_each(|meters| sum.add(&meters.read()));
        Ok(sum)
    }

    /// The same of all hubs, by folded name. One that has never used anything is missing.
    pub fn all(&self, meters: &[MeterOf]) -> Result<HashMap<String, HubUsage>, ControlError> {
        let unsaved = self.unsaved();
        let mut sums: HashMap<String, HubUsage> = self.control.usages()?;
        sums.extend(unsaved.iter().map(|(hub, sum)| (hub.clone(), sum.clone())));
        for (hub, meters) in meters {
            sums.entry(hub.clone()).or_default().add(&meters.read());
        }
        Ok(sums)
    }

    /// Lets `delete` remove a hub with what is stored of it, and forgets the rest: one of the same name begins at nothing.
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
