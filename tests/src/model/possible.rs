//! The set of possible worlds: those that agree with everything observed so far.
//!
//! The host makes progress at its own pace, and a request without a response because of a crash may or may not have been
//! executed. So several worlds may be possible; the next response or observation rules some of them out. If none is left, the
//! host has done something that the model does not allow.

use std::collections::HashSet;

use anyhow::{Result, bail, ensure};

use super::operation::{Answer, Operation};
use super::world::World;

/// More worlds are a fault of the test: it must observe more often.
const WORLDS_MAX: usize = 50_000;

pub struct Possible {
    worlds: HashSet<World>,
}

impl Default for Possible {
    fn default() -> Self {
        Possible { worlds: HashSet::from([World::default()]) }
    }
}

impl Possible {
    pub fn count(&self) -> usize {
        self.worlds.len()
    }

    /// Any of the worlds.
    pub fn any(&self) -> Option<&World> {
        self.worlds.iter().next()
    }

    /// Adds every world that may result from the host's progress. That there was none remains possible.
    pub fn let_pass(&mut self) -> Result<()> {
        let mut queue: Vec<World> = self.worlds.iter().cloned().collect();
        while let Some(world) = queue.pop() {
            for next in world.progress() {
                if self.worlds.insert(next.clone()) {
                    queue.push(next);
                }
            }
            ensure!(self.worlds.len() <= WORLDS_MAX, "more than {WORLDS_MAX} worlds are possible");
        }
        Ok(())
    }

    /// Rules out the worlds that do not agree with a response.
    pub fn answered(&mut self, operation: &Operation, answer: Answer) -> Result<()> {
        let outcomes = self.outcomes(|world| world.ask(operation))?;
        if !outcomes.iter().any(|(possible, _)| *possible == answer) {
            let possible = one_of(outcomes.iter().map(|(answer, _)| answer.to_string()));
            bail!("the response {answer} is not possible; possible: {possible}");
        }
        self.worlds = outcomes.into_iter().filter(|(possible, _)| *possible == answer).map(|(_, world)| world).collect();
        self.let_pass()
    }

    /// The same for two concurrent requests: one was executed first, or one turn took in both.
    pub fn both_answered(&mut self, first: (&Operation, Answer), second: (&Operation, Answer)) -> Result<()> {
        let at_once = self.outcomes(|world| world.ask_in_one_turn(first.0, second.0))?;
        let at_once = at_once.into_iter().filter(|(answers, _)| *answers == [first.1, second.1]).map(|(_, world)| world);
        let mut worlds: HashSet<World> = at_once.collect();
        let mut why = None;
        for [one, two] in [[first, second], [second, first]] {
            let mut possible = Possible { worlds: self.worlds.clone() };
            match possible.answered(one.0, one.1).and_then(|()| possible.answered(two.0, two.1)) {
                Ok(()) => worlds.extend(possible.worlds),
                Err(error) => why = Some(error),
            }
        }
        match why {
            Some(why) if worlds.is_empty() => Err(why.context(format!("the answers are {} and {}", first.1, second.1))),
            _ => {
                self.worlds = worlds;
                self.let_pass()
            }
        }
    }

    /// There was no response: the request may or may not have been executed.
    pub fn unanswered(&mut self, operation: &Operation) -> Result<()> {
        let outcomes = self.outcomes(|world| world.ask(operation))?;
        self.worlds.extend(outcomes.into_iter().map(|(_, world)| world));
        self.let_pass()
    }

    /// Changes whether the service accepts the requests of a slot.
    pub fn switch(&mut self, slot: u8, on: bool) {
        self.worlds = std::mem::take(&mut self.worlds)
            .into_iter()
            .map(|mut world| {
                world.switch(slot, on);
                world
            })
            .collect();
    }

    /// Whether an observation may be final.
    pub fn may_rest(&mut self, looks_so: impl Fn(&World) -> bool) -> Result<bool> {
        self.let_pass()?;
        Ok(self.worlds.iter().any(|world| looks_so(world) && world.progress().is_empty()))
    }

    /// Rules out the worlds that do not agree with an observation.
    pub fn seen(&mut self, looks_so: impl Fn(&World) -> bool, describe: impl Fn(&World) -> String) -> Result<()> {
        self.let_pass()?;
        if !self.worlds.iter().any(&looks_so) {
            bail!("this is not possible; possible: {}", one_of(self.worlds.iter().map(describe)));
        }
        self.worlds.retain(looks_so);
        Ok(())
    }

    fn outcomes<A>(&mut self, ask: impl Fn(&World) -> Vec<(A, World)>) -> Result<Vec<(A, World)>> {
        self.let_pass()?;
        Ok(self.worlds.iter().flat_map(ask).collect())
    }
}

/// Joins a few of the texts, without duplicates.
fn one_of(texts: impl Iterator<Item = String>) -> String {
    let mut texts: Vec<String> = texts.collect();
    texts.sort();
    texts.dedup();
    let more = texts.len().saturating_sub(4);
    texts.truncate(4);
    let shown = texts.join(", or ");
    if more > 0 { format!("{shown}, or {more} others") } else { shown }
}
