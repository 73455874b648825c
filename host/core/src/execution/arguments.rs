//! What a guest names, parsed where it enters. A failure here is the guest's mistake: the task of the call has failed with it,
//! and a call that gives no task stops the guest.

use crate::{Failure, FunctionName, InstanceId};

/// Characters of an operation's name and of a version, as for every other name.
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
