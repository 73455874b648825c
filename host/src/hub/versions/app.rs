//! The versions of one app: how they are found, and which of them get new starts.

use std::cmp::Ordering;

use dacapo_core::{Timestamp, VersionId};
use dacapo_store::{AppChange, AppVersion};

use crate::hub::error::HubError;
use crate::versioning::{Naming, label_trouble};

/// The versions of one app, in the order of their deployment.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in crate::hub) struct Versions {
    pub all: Vec<AppVersion>,
    pub active: Option<VersionId>,
}

impl Versions {
    pub fn get(&self, version: VersionId) -> Option<&AppVersion> {
        self.all.iter().find(|known| known.version == version)
    }

    pub fn ids(&self) -> Vec<VersionId> {
        self.all.iter().map(|version| version.version).collect()
    }

    pub fn active(&self) -> Option<&AppVersion> {
        self.active.and_then(|active| self.get(active))
    }

    pub fn serving(&self) -> impl Iterator<Item = &AppVersion> {
        let others = self.all.iter().filter(|version| version.weight > 0 && Some(version.version) != self.active);
        self.active().into_iter().chain(others)
    }

    /// Checks that a version may have this label. It may keep one that an earlier release has allowed.
    pub fn require_label(&self, app: &str, version: VersionId, label: &str) -> Result<(), HubError> {
        let refused = |why: String| Err(HubError::Label { app: app.to_owned(), label: label.to_owned(), why });
        if label.is_empty() || self.get(version).is_some_and(|known| known.label == label) {
            return Ok(());
        }
        if let Some(why) = label_trouble(label) {
            return refused(why);
        }
        let naming = Naming::new(label);
        match self.all.iter().find(|other| other.version != version && naming.begins(&other.version.to_string())) {
            Some(other) => refused(format!("the digest of another version, {:.12}, begins with it", other.version.to_string())),
            None => Ok(()),
        }
    }

    /// Returns the version that `text` names ([`versioning`] has the rule).
    pub fn find(&self, app: &str, text: &str) -> Result<VersionId, HubError> {
        match self.named(text)[..] {
            [version] => Ok(version.version),
            [] => Err(HubError::UnknownVersion { app: app.to_owned(), version: text.to_owned() }),
            [..] => Err(HubError::AmbiguousVersion { app: app.to_owned(), version: text.to_owned() }),
        }
    }

    /// Returns the versions that `text` names.
    pub fn called(&self, text: &str) -> Vec<VersionId> {
        self.named(text).iter().map(|version| version.version).collect()
    }

    /// More than one only if their digests begin alike, or if the digest of one begins like the label of another.
    pub fn named(&self, text: &str) -> Vec<&AppVersion> {
        let naming = Naming::new(text);
        // Earlier releases let several have one label; it named the newest.
        let labelled = self.all.iter().rev().find(|version| naming.is_label(&version.label)).map(|version| version.version);
        let is_named = |known: &&AppVersion| Some(known.version) == labelled || naming.begins(&known.version.to_string());
        self.all.iter().filter(is_named).collect()
    }

    /// Those that take no new starts.
    pub fn idle(&self) -> impl Iterator<Item = VersionId> {
        let idle = self.all.iter().filter(|known| known.weight == 0 && Some(known.version) != self.active);
        idle.map(|known| known.version)
    }

    pub fn get_mut(&mut self, version: VersionId) -> Option<&mut AppVersion> {
        self.all.iter_mut().find(|known| known.version == version)
    }

    /// Adds a version, or replaces its entry. Returns the other version that loses its label to it.
    pub fn put(&mut self, new: AppVersion) -> Option<VersionId> {
        let naming = Naming::new(&new.label);
        let others = self.all.iter_mut().filter(|known| known.version != new.version);
        let mut had_it = None;
        for other in others.filter(|other| naming.is_label(&other.label)) {
            other.label.clear();
            had_it = Some(other.version);
        }
        match self.get_mut(new.version) {
            Some(known) => *known = new,
            None => self.all.push(new),
        }
        had_it
    }

    pub fn unweigh(&mut self) {
        self.all.iter_mut().for_each(|version| version.weight = 0);
    }

    /// Returns the versions that get new starts, with their weights, oldest first.
    pub fn shares(&self) -> Vec<(&AppVersion, u32)> {
        let weighed: Vec<(&AppVersion, u32)> =
            self.all.iter().filter(|version| version.weight > 0).map(|version| (version, version.weight)).collect();
        if weighed.is_empty() { self.active().into_iter().map(|active| (active, 1)).collect() } else { weighed }
    }

    /// Gives a version `percent` of the new starts. The others share the rest in the same proportion as before.
    pub fn give_share(&mut self, version: VersionId, percent: u32) {
        let percent = u64::from(percent.min(100));
        let mut others: Vec<(VersionId, u64)> =
            self.shares().into_iter().map(|(known, weight)| (known.version, weight.into())).collect();
        others.retain(|(known, _)| *known != version);
        if others.is_empty() {
            others.extend(self.active.filter(|active| *active != version).map(|active| (active, 1)));
        }
        let total: u64 = others.iter().map(|(_, weight)| weight).sum::<u64>().max(1);
        let mut weights: Vec<u64> = others.iter().map(|(_, weight)| weight * (100 - percent)).collect();
        weights.push(total * percent);
        self.unweigh();
        let ids = others.into_iter().map(|(known, _)| known).chain([version]);
        for (id, weight) in ids.zip(in_small_numbers(&weights)) {
            self.get_mut(id).expect("it is one of them").weight = weight;
        }
    }

    /// Makes a version the active one.
    pub fn activate(&mut self, version: VersionId, at: Timestamp) {
        self.active = Some(version);
        let last = self.all.iter().filter_map(|version| version.activated_at).max();
        let at = last.map_or(at, |last| at.max(Timestamp(last.0.saturating_add(1))));
        self.get_mut(version).expect("it is one of them").activated_at = Some(at);
    }

    /// Makes an earlier version active again, or one that never was in place of the active one. The versions that were activated
    /// after it leave the stack, so that no rollback returns to them.
    pub fn go_back(&mut self, version: VersionId) {
        let activated_at = |version: Option<&AppVersion>| version.and_then(|version| version.activated_at);
        let since = activated_at(self.get(version)).or(activated_at(self.active()));
        for other in self.all.iter_mut().filter(|other| other.activated_at >= since) {
            other.activated_at = None;
        }
        self.get_mut(version).expect("it is one of them").activated_at = since;
        self.active = Some(version);
    }

    /// The versions that get new starts, oldest first.
    pub fn taking(&self) -> Vec<VersionId> {
        self.shares().into_iter().map(|(version, _)| version.version).collect()
    }

    /// Takes the new starts away from the newest version that gets any. They go to those that share them with it; if there are
    /// none, to the active version; and if it is that one, to the one that was active before. Returns the version that lost them;
    /// none if there is no other version to go to.
    pub fn roll_back(&mut self, at: Timestamp) -> Option<VersionId> {
        let mut others = self.taking();
        let newest = others.pop()?;
        let before = || {
            let since = self.get(newest).and_then(|version| version.activated_at);
            let earlier = self.all.iter().filter(|version| version.activated_at.is_some() && version.activated_at < since);
            earlier.max_by_key(|version| version.activated_at).map(|version| version.version)
        };
        let to = match (others.last(), self.active) {
            (_, Some(active)) if active != newest && (others.is_empty() || others.contains(&active)) => active,
            (Some(other), _) => *other,
            (None, _) => before()?,
        };
        let place = |version| self.all.iter().position(|known| Some(known.version) == version);
        match place(Some(to)).cmp(&place(self.active)) {
            Ordering::Less => self.go_back(to),
            Ordering::Equal => {}
            Ordering::Greater => self.activate(to, at),
        }
        let lost = self.get_mut(newest).expect("it is one of them");
        (lost.weight, lost.activated_at) = (0, None);
        if others.len() <= 1 {
            self.unweigh();
        }
        Some(newest)
    }

    /// Returns the change to be stored to get from `before` to `self`.
    pub fn since(&self, before: &Self, app: &str) -> AppChange {
        let put = self.all.iter().filter(|version| before.get(version.version) != Some(version)).cloned().collect();
        let removed = before.ids().into_iter().filter(|version| self.get(*version).is_none()).collect();
        let active = self.active.filter(|active| before.active != Some(*active));
        AppChange { app: app.to_owned(), put, removed, active }
    }
}

/// Returns weights of the same proportion in small numbers: percentages, where these are whole numbers.
fn in_small_numbers(weights: &[u64]) -> Vec<u32> {
    fn divisor(a: u64, b: u64) -> u64 {
        if b == 0 { a } else { divisor(b, a % b) }
    }
    let common = weights.iter().fold(0, |common, &weight| divisor(weight, common)).max(1);
    let sum: u64 = weights.iter().map(|weight| weight / common).sum();
    let times = if sum > 0 && 100 % sum == 0 { 100 / sum } else { 1 };
    let highest = weights.iter().max().map_or(1, |weight| weight / common * times);
    // Weights that exceed what can be stored lose a little of the proportion, but none becomes 0.
    let shrink = highest.div_ceil(u32::MAX.into()).max(1);
    let small = |weight: &u64| {
        let weight = weight / common * times;
        u32::try_from((weight / shrink).max(weight.min(1))).unwrap_or(u32::MAX)
    };
    weights.iter().map(small).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Versions of these labels, deployed one after the other as the active one.
    fn deployed(labels: &[&str]) -> Versions {
        let mut versions = Versions::default();
        for label in labels {
            deploy(&mut versions, label);
            let newest = versions.all.last().unwrap().version;
            versions.activate(newest, at(&versions));
        }
        versions
    }

    fn at(versions: &Versions) -> Timestamp {
        Timestamp(versions.all.len() as i64)
    }

    fn deploy(versions: &mut Versions, label: &str) -> VersionId {
        let number = versions.all.len() as u8 + 1;
        let version = VersionId([number; 32]);
        versions.put(AppVersion {
            app: "app".into(),
            version,
            deployed_at: Timestamp(number.into()),
            label: label.into(),
            functions: vec![],
            triggers: vec![],
            route_prefix: None,
            versioning: Default::default(),
            size: 0,
            weight: 0,
            activated_at: None,
        });
        version
    }

    fn weigh(versions: &mut Versions, weights: &[(&str, u32)]) {
        versions.unweigh();
        for (label, weight) in weights {
            let version = versions.find("app", label).unwrap();
            versions.get_mut(version).unwrap().weight = *weight;
        }
    }

    /// Who gets new starts, and the active version last.
    fn shown(versions: &Versions) -> String {
        let taking: Vec<&str> = versions.taking().iter().map(|version| versions.get(*version).unwrap().label.as_str()).collect();
        format!("{} of {}", taking.join(" "), versions.active().unwrap().label)
    }

    fn roll_back(versions: &mut Versions) -> String {
        let at = at(versions);
        let lost = versions.roll_back(at).map(|lost| versions.get(lost).unwrap().label.clone());
        format!("{} loses: {}", lost.unwrap_or_else(|| "none".into()), shown(versions))
    }

    /// The rollback went to 1.0, and took the healthy 2.0 out of service with the canary.
    #[test]
    fn the_first_rollback_takes_the_share_of_the_canary() {
        let mut versions = deployed(&["1.0", "2.0"]);
        deploy(&mut versions, "3.0");
        weigh(&mut versions, &[("2.0", 90), ("3.0", 10)]);
        assert_eq!(roll_back(&mut versions), "3.0 loses: 2.0 of 2.0");
        assert_eq!(roll_back(&mut versions), "2.0 loses: 1.0 of 1.0");
        let before = versions.clone();
        assert_eq!(roll_back(&mut versions), "none loses: 1.0 of 1.0");
        assert_eq!(versions, before);
    }

    #[test]
    fn it_does_not_matter_which_of_those_that_share_is_active() {
        // Made a canary after it was deployed as the active one.
        let mut versions = deployed(&["1.0", "2.0", "3.0"]);
        weigh(&mut versions, &[("2.0", 90), ("3.0", 10)]);
        assert_eq!(roll_back(&mut versions), "3.0 loses: 2.0 of 2.0");
        assert_eq!(roll_back(&mut versions), "2.0 loses: 1.0 of 1.0");

        let mut versions = deployed(&["1.0"]);
        deploy(&mut versions, "2.0");
        weigh(&mut versions, &[("2.0", 100)]);
        assert_eq!(roll_back(&mut versions), "2.0 loses: 1.0 of 1.0");

        // Those that are left keep their shares, until there is one.
        let mut versions = deployed(&["1.0"]);
        deploy(&mut versions, "2.0");
        deploy(&mut versions, "3.0");
        weigh(&mut versions, &[("1.0", 1), ("2.0", 1), ("3.0", 1)]);
        assert_eq!(roll_back(&mut versions), "3.0 loses: 1.0 2.0 of 1.0");
        assert_eq!(roll_back(&mut versions), "2.0 loses: 1.0 of 1.0");
        weigh(&mut versions, &[("2.0", 1), ("3.0", 1)]);
        assert_eq!(roll_back(&mut versions), "3.0 loses: 2.0 of 2.0", "the active one had none");
        assert_eq!(roll_back(&mut versions), "2.0 loses: 1.0 of 1.0");
    }

    #[test]
    fn nobody_goes_back_to_what_was_rolled_back_or_never_active() {
        let mut versions = deployed(&["1.0", "2.0"]);
        roll_back(&mut versions);
        deploy(&mut versions, "2.1");
        let good = deploy(&mut versions, "3.0");
        versions.activate(good, at(&versions));
        assert_eq!(roll_back(&mut versions), "3.0 loses: 1.0 of 1.0", "2.0 was no good, and 2.1 had no starts");
        // Deployed again, it counts again.
        let again = versions.find("app", "2.0").unwrap();
        versions.activate(again, at(&versions));
        versions.activate(good, at(&versions));
        assert_eq!(roll_back(&mut versions), "3.0 loses: 2.0 of 2.0");
    }

    /// The weight of each version.
    fn weights(versions: &Versions) -> String {
        let weights = versions.all.iter().map(|version| format!("{}={}", version.label, version.weight));
        weights.collect::<Vec<_>>().join(" ")
    }

    fn canary(versions: &mut Versions, label: &str, percent: u32) {
        let version = deploy(versions, label);
        versions.give_share(version, percent);
    }

    /// 1.0 got 90 of 100 and the canary 2.0 nothing, silently, when 3.0 was deployed with 10; a rollback then sent all to 1.0.
    #[test]
    fn a_second_canary_takes_its_share_from_all() {
        let mut versions = deployed(&["1.0"]);
        canary(&mut versions, "2.0", 90);
        assert_eq!(weights(&versions), "1.0=10 2.0=90");
        canary(&mut versions, "3.0", 10);
        assert_eq!(weights(&versions), "1.0=9 2.0=81 3.0=10");
        assert_eq!(roll_back(&mut versions), "3.0 loses: 1.0 2.0 of 1.0");
        assert_eq!(weights(&versions), "1.0=9 2.0=81 3.0=0", "as before: a tenth and nine tenths");
        // Its own share changes; the others keep their proportion.
        let third = versions.find("app", "3.0").unwrap();
        versions.give_share(third, 50);
        assert_eq!(weights(&versions), "1.0=5 2.0=45 3.0=50");
        versions.give_share(third, 100);
        assert_eq!(weights(&versions), "1.0=0 2.0=0 3.0=100");
        versions.give_share(third, 25);
        assert_eq!(weights(&versions), "1.0=75 2.0=0 3.0=25", "the active one has the rest, where nobody else had any");
        versions.give_share(third, 0);
        assert_eq!(weights(&versions), "1.0=100 2.0=0 3.0=0");
    }

    #[test]
    fn shares_keep_their_proportion_in_whole_numbers() {
        assert_eq!(in_small_numbers(&[60, 40]), [60, 40]);
        assert_eq!(in_small_numbers(&[1, 1]), [50, 50]);
        assert_eq!(in_small_numbers(&[90, 90, 90, 30]), [30, 30, 30, 10]);
        assert_eq!(in_small_numbers(&[5, 5, 5]), [1, 1, 1], "there is no third of 100 in whole numbers");
        assert_eq!(in_small_numbers(&[0, 7]), [0, 100]);
        assert_eq!(in_small_numbers(&[0, 0]), [0, 0]);
        let large = u64::from(u32::MAX);
        assert_eq!(in_small_numbers(&[large * 99, 1]), [u32::MAX, 1]);
    }

    /// The label `b20430` of one version also named another, whose digest began with it, until the label was taken away.
    #[test]
    fn what_could_name_two_versions_names_none() {
        let mut versions = deployed(&["1.0", "2.0"]);
        let [one, two] = ["1.0", "2.0"].map(|label| versions.find("app", label).unwrap());
        assert!(versions.require_label("app", one, "010101").is_ok(), "it is its own digest that begins so");
        let refusal = versions.require_label("app", two, "010101").unwrap_err().to_string();
        assert!(refusal.contains("'010101'") && refusal.contains("another version, 010101010101"), "{refusal}");
        // One that came first, or from an earlier release.
        let labelled = AppVersion { label: "010101".into(), ..versions.get(two).unwrap().clone() };
        versions.put(labelled);
        assert!(versions.require_label("app", two, "010101").is_ok(), "it has it");
        assert!(matches!(versions.find("app", "010101"), Err(HubError::AmbiguousVersion { .. })));
        assert_eq!((versions.find("app", "0101010").unwrap(), versions.find("app", "020202").unwrap()), (one, two));
        for bad in ["a\nb", "\u{1b}[2J", "a/b", " ", "\u{202e}0.1", &"x".repeat(257)] {
            assert!(versions.require_label("app", one, bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_label_names_the_last_that_was_deployed_under_it() {
        let mut versions = deployed(&["1.0", "2.0"]);
        let old = versions.find("app", "1.0").unwrap();
        let new = deploy(&mut versions, "01.0");
        assert_eq!(versions.find("app", "1.0").unwrap(), new);
        assert_eq!(versions.get(old).unwrap().label, "");
        assert_eq!(versions.find("app", "010101").unwrap(), old, "by its digits");
        let renamed = AppVersion { label: "4.0".into(), ..versions.get(new).unwrap().clone() };
        assert_eq!(versions.put(renamed), None);
        assert_eq!((versions.all.len(), versions.find("app", "4.0").unwrap()), (3, new));
        assert!(matches!(versions.find("app", "1.0"), Err(HubError::UnknownVersion { .. })));
    }
}
