use clap::Args;

use super::client::{Connection, Target};
use super::error::CliError;
use super::output::print;
use super::versions::{no_app, show};
use crate::bad_value::BadValue;

/// Share the new starts of an app among its versions.
///
/// The same instance id always gets the same version. Versions that are not named get none; `dacapo rollback APP VERSION`
/// directs all new starts to one.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dacapo route orders 2.0=90 2.1=10
  dacapo route orders 3fa9c2=1 71be00=1")]
pub(super) struct Route {
    /// The app.
    app: String,
    /// Versions (a label, or six digits or more of a digest) and their weights.
    #[arg(value_name = "VERSION=WEIGHT", required = true, value_parser = weight)]
    weights: Vec<(String, u32)>,
    #[command(flatten)]
    connection: Connection,
}

impl Route {
    pub fn run(self) -> Result<(), CliError> {
        let mut weights = serde_json::Map::new();
        for (version, weight) in self.weights {
            if weights.insert(version.clone(), weight.into()).is_some() {
                return Err(CliError::Usage(format!("'{version}' is named twice: which share is it to get?")));
            }
        }
        let target = Target::host(["admin", "apps", self.app.as_str(), "weights"]);
        let body = serde_json::Value::Object(weights).to_string();
        let answer = self.connection.client().post_json(&target, &body)?.success(|| no_app(&self.app))?;
        match self.connection.json {
            true => print(answer.text),
            false => show(&answer.parse()?),
        }
    }
}

fn weight(text: &str) -> Result<(String, u32), BadValue> {
    let (version, weight) = text.rsplit_once('=').ok_or("should be such as 2.0=90")?;
    if version.trim().is_empty() {
        return Err("names no version: it should be such as 2.0=90".into());
    }
    let weight = weight.parse().map_err(|_| format!("'{weight}' should be a whole number"))?;
    Ok((version.to_owned(), weight))
}
