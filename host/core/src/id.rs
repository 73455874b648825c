//! Identifiers. Each is parsed once, where it enters the host.

use std::fmt;
use std::sync::Arc;

use uuid::Uuid;

/// Why a text is not a valid id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidId {
    #[error("it is empty")]
    Empty,
    #[error("it has {length} characters, {max} are allowed")]
    TooLong { length: usize, max: usize },
    #[error("it contains {0:?}, which is not allowed")]
    Character(char),
    #[error("it is '.' or '..', which no address can name: browsers and HTTP clients rewrite them")]
    DotSegment,
    #[error("it begins with '@', which is reserved for entities")]
    EntityPrefix,
    #[error("it is white space only")]
    Blank,
}

/// Names one instance in a task hub: an orchestration, or an entity as `@name@key`.
///
/// At most 256 characters (the limit of Durable Functions), without `/ \ # ?` and control characters. Neither the id nor the
/// key of an entity may be `.` or `..`: HTTP clients rewrite these in a URL, even if they are escaped.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstanceId(Arc<str>);

impl InstanceId {
    /// In characters, not bytes.
    pub const MAX_CHARS: usize = 256;

    /// Parses the id of an orchestration that is to be started.
    pub fn orchestration(text: &str) -> Result<Self, InvalidId> {
        let id = Self::any(text)?;
        if text.starts_with('@') {
            return Err(InvalidId::EntityPrefix);
        }
        if text.trim().is_empty() {
            return Err(InvalidId::Blank);
        }
        Ok(id)
    }

    /// Parses the id of any instance. Accepts white space alone, which earlier releases allowed for orchestrations.
    pub fn any(text: &str) -> Result<Self, InvalidId> {
        let id = Self::stored(text)?;
        match id.as_entity().map_or(text, |(_, key)| key) {
            "." | ".." => Err(InvalidId::DotSegment),
            _ => Ok(id),
        }
    }

    /// Parses an id that is already stored. Earlier releases accepted some ids that this one refuses.
    pub fn stored(text: &str) -> Result<Self, InvalidId> {
        check_text(text, Self::MAX_CHARS, |c| matches!(c, '/' | '\\' | '#' | '?') || c.is_control())?;
        Ok(Self(text.into()))
    }

    /// Makes the id of an entity: `@name@key`. Names ignore case, so the id has the name in lower case; the key may be empty.
    pub fn entity(name: &FunctionName, key: &str) -> Result<Self, InvalidId> {
        Self::any(&format!("@{}@{key}", name.folded()))
    }

    /// Whether this is an entity's id.
    pub fn is_entity(&self) -> bool {
        self.as_entity().is_some()
    }

    /// Name and key, if this is an entity's id.
    pub fn as_entity(&self) -> Option<(&str, &str)> {
        self.0.strip_prefix('@')?.split_once('@').filter(|(name, _)| !name.is_empty())
    }

    /// The entity function, if this is an entity's id.
    pub fn entity_name(&self) -> Option<FunctionName> {
        FunctionName::new(self.as_entity()?.0).ok()
    }

    /// Makes an id for an orchestration that was started without one: 32 hexadecimal digits.
    pub fn from_uuid(uuid: Uuid) -> Self {
        Self(uuid.simple().to_string().into())
    }

    /// Derives the id of a child that was started without one. The same parent execution and action give the same id.
    pub(crate) fn of_child(parent: ExecutionId, seq: Seq) -> Self {
        Self(format!("{}:{:04x}", parent.0.simple(), seq.0).into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Names a function: unique in a task hub, compared ignoring case.
#[derive(Clone)]
pub struct FunctionName(Arc<str>);

impl FunctionName {
    pub const MAX_CHARS: usize = 128;

    pub fn new(text: &str) -> Result<Self, InvalidId> {
        check_text(text, Self::MAX_CHARS, |c| c.is_control() || c.is_whitespace() || matches!(c, '/' | '\\' | '#' | '?' | '@'))?;
        Ok(Self(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the case-folded form: equal names have equal forms.
    pub fn folded(&self) -> String {
        fold(&self.0)
    }
}

impl PartialEq for FunctionName {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0 || fold(&self.0) == fold(&other.0)
    }
}
impl Eq for FunctionName {}

/// The kind of a function, which decides what the function may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FunctionKind {
    Orchestrator,
    Activity,
    Entity,
    /// By which the world reaches an app.
    Trigger,
}

impl FunctionKind {
    pub const ALL: [FunctionKind; 4] =
        [FunctionKind::Orchestrator, FunctionKind::Activity, FunctionKind::Entity, FunctionKind::Trigger];

    pub fn name(self) -> &'static str {
        match self {
            FunctionKind::Orchestrator => "orchestrator",
            FunctionKind::Activity => "activity",
            FunctionKind::Entity => "entity",
            FunctionKind::Trigger => "trigger",
        }
    }
}

/// Folds the case of a name (of a function or an event), so that comparison ignores it.
pub fn fold(name: &str) -> String {
    name.to_lowercase()
}

fn check_text(text: &str, max: usize, forbidden: impl Fn(char) -> bool) -> Result<(), InvalidId> {
    if text.is_empty() {
        return Err(InvalidId::Empty);
    }
    let length = text.chars().count();
    if length > max {
        return Err(InvalidId::TooLong { length, max });
    }
    match text.chars().find(|&c| forbidden(c)) {
        Some(c) => Err(InvalidId::Character(c)),
        None => Ok(()),
    }
}

/// One execution of an instance, from its start or a continue-as-new to the next. It seeds the execution's randomness.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExecutionId(pub Uuid);

impl ExecutionId {
    /// Derives the only execution of an entity. Rows are never reused, so an entity that vanished and is created again gets
    /// another.
    pub(crate) fn of_entity(entity: &InstanceId, row: Row) -> Self {
        Self(Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("{entity} in row {}", row.0).as_bytes()))
    }

    /// Derives the execution of the `number`-th start that an activity makes. The same call and number give the same execution.
    pub fn of_start(caller: ExecutionId, activity: Seq, number: u32) -> Self {
        Self(caller.derive(&format!("start:{activity}:{number}")))
    }

    /// Derives the execution of the `number`-th restart that an activity makes.
    pub fn of_restart(caller: ExecutionId, activity: Seq, number: u32) -> Self {
        Self(caller.derive(&format!("restart:{activity}:{number}")))
    }

    /// Names the `number`-th message that an activity puts into a queue. The same call and number give the same name.
    pub fn of_message(caller: ExecutionId, activity: Seq, number: u32) -> Self {
        Self(caller.derive(&format!("message:{activity}:{number}")))
    }

    /// The id of the invocation of a trigger that this execution makes, the same for all attempts.
    pub fn invocation(self) -> Uuid {
        self.derive("trigger")
    }

    /// Derives a UUIDv5 from a name in this execution's namespace. All deterministic randomness is made from these.
    pub(crate) fn derive(self, name: &str) -> Uuid {
        Uuid::new_v5(&self.0, name.as_bytes())
    }
}

/// The position of an action (a call, a timer, a sent event) in an execution, from 0. Results refer to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seq(pub u32);

/// The number under which an instance's rows lie in its hub's store. Rows are allocated in rising order and never reused, so
/// that data written together is stored together, at the end of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Row(pub u64);

/// One immutable version of an app: the SHA-256 digest of the deployed file.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VersionId(pub [u8; 32]);

impl fmt::Display for VersionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::str::FromStr for VersionId {
    type Err = InvalidId;

    /// Reads the 64 hexadecimal digits that `Display` writes.
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        if text.len() != 64 {
            return Err(InvalidId::TooLong { length: text.len(), max: 64 });
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
            let digit = |c: u8| (c as char).to_digit(16).ok_or(InvalidId::Character(c as char));
            *byte = (digit(pair[0])? * 16 + digit(pair[1])?) as u8;
        }
        Ok(Self(bytes))
    }
}

macro_rules! shown_as {
    ($($type:ty => |$this:ident| $text:expr;)*) => {$(
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let $this = self;
                fmt::Display::fmt(&$text, f)
            }
        }
    )*};
}

shown_as! {
    InstanceId => |id| id.0;
    FunctionName => |name| name.0;
    ExecutionId => |id| id.0.simple();
    Seq => |seq| seq.0;
}

macro_rules! debug_as_display {
    ($($type:ty),*) => {$(
        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{self}")
            }
        }
    )*};
}

debug_as_display!(InstanceId, FunctionName, ExecutionId, VersionId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instance_ids_follow_the_rules_of_the_contract() {
        let check = |text: &str| InstanceId::orchestration(text).map(|_| ());
        assert_eq!(check("order-17: ä + b & c"), Ok(()));
        assert_eq!(check(""), Err(InvalidId::Empty));
        assert_eq!(check(&"ä".repeat(256)), Ok(()));
        assert_eq!(check(&"a".repeat(257)), Err(InvalidId::TooLong { length: 257, max: 256 }));
        for bad in ['/', '\\', '#', '?', '\n', '\0'] {
            assert_eq!(check(&format!("a{bad}b")), Err(InvalidId::Character(bad)));
        }
        assert_eq!(check("@counter@a"), Err(InvalidId::EntityPrefix));
        for dots in [".", "..", "@counter@.", "@counter@.."] {
            assert_eq!(InstanceId::any(dots), Err(InvalidId::DotSegment));
            assert!(InstanceId::stored(dots).is_ok(), "an earlier release has accepted {dots}");
        }
        assert!(["...", ".a", "@counter@.a"].iter().all(|text| InstanceId::any(text).is_ok()));
        assert!(InstanceId::any("@counter@a").is_ok());
        for blank in [" ", "  ", "\u{a0}", "\u{2003}", "\u{3000}"] {
            assert_eq!(check(blank), Err(InvalidId::Blank));
            assert!(InstanceId::any(blank).is_ok(), "one that an older release let begin is still found");
        }
    }

    #[test]
    fn function_names_compare_ignoring_case() {
        assert_eq!(FunctionName::new("SayHello"), FunctionName::new("sayhello"));
        assert_ne!(FunctionName::new("SayHello"), FunctionName::new("SayHello2"));
    }

    #[test]
    fn a_version_id_reads_what_it_writes() {
        let id = VersionId(std::array::from_fn(|i| i as u8 * 7));
        assert_eq!(id.to_string().parse(), Ok(id));
    }
}
