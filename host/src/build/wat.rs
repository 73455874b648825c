//! WAT: assembled in this process.

use std::path::PathBuf;

use super::{BuildError, Job, sources};

pub(super) fn build(job: &Job<'_>) -> Result<(), BuildError> {
    let files: Vec<PathBuf> = sources(job.folder, &["wat"])?;
    let [file] = files.as_slice() else {
        return Err(BuildError::Sources(format!("{} holds {} files of WAT; an app is one", job.folder.display(), files.len())));
    };
    if let Some(argument) = job.arguments.first() {
        return Err(BuildError::Sources(format!("WAT is assembled without arguments, such as '{argument}'")));
    }
    let module = wat::parse_file(file).map_err(|why| BuildError::Sources(why.to_string()))?;
    std::fs::write(job.out, module).map_err(BuildError::file("writing", job.out))
}
