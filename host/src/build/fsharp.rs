//! F#: the SDK's own builder, which compiles it to JavaScript with Fable, and makes the component with the builder of the SDK for
//! JavaScript. Both run under Node.js.

use super::{BuildError, Job, Language, javascript};

pub(super) fn build(job: &Job<'_>) -> Result<(), BuildError> {
    javascript::run_builder(job, Language::FSharp, "fsharp/build.mjs")
}
