//! Why a value that a user has typed is invalid, worded to follow its name in a message.

use std::borrow::Cow;

/// Such as "should be true or false".
#[derive(Debug, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct BadValue(Cow<'static, str>);

impl From<&'static str> for BadValue {
    fn from(why: &'static str) -> Self {
        Self(why.into())
    }
}

impl From<String> for BadValue {
    fn from(why: String) -> Self {
        Self(why.into())
    }
}
