//! Parses the arguments of a guest's host calls. A failure here is the guest's mistake: the task of the call fails with it, and
//! a call that returns no task stops the guest.

use crate::{Failure, FunctionName, InstanceId};

/// The most characters of an operation's name and of a version.
const NAME_CHARS_MAX: usize = 256;

pub fn function(name: &str) -> Result<FunctionName, Failure> {
    FunctionName::new(name).map_err(|why| invalid(format!("'{name}' is not a function name: {why}")))
}

/// The id of any instance.
pub fn instance(id: &str) -> Result<InstanceId, Failure> {
    InstanceId::any(id).map_err(|why| invalid(format!("'{id}' is not an instance id: {why}")))
}

/// The id of an orchestration to start.
pub fn orchestration(id: &str) -> Result<InstanceId, Failure> {
    InstanceId::orchestration(id).map_err(|why| invalid(format!("'{id}' is not an instance id: {why}")))
}

pub fn entity(name: &str, key: &str) -> Result<InstanceId, Failure> {
    let function = function(name)?;
    InstanceId::entity(&function, key).map_err(|why| invalid(format!("'@{name}@{key}' is not an entity id: {why}")))
}

/// The name of an operation; may be empty.
pub fn operation(name: &str) -> Result<String, Failure> {
    short("the name of an operation", name)
}

/// The version that a start asks for; may be empty.
pub fn version(label: &str) -> Result<String, Failure> {
    short("the version that is asked for", label)
}

fn short(what: &str, text: &str) -> Result<String, Failure> {
    if text.chars().nth(NAME_CHARS_MAX).is_some() {
        return Err(invalid(format!("{what} has more than {NAME_CHARS_MAX} characters")));
    }
    Ok(text.to_owned())
}

/// The name of an external event.
pub fn event(name: &str) -> Result<String, Failure> {
    if name.is_empty() {
        return Err(invalid("an external event must have a name".into()));
    }
    Ok(name.to_owned())
}

pub fn invalid(message: String) -> Failure {
    Failure::permanent(Failure::INVALID_ARGUMENT, message)
}
