//! Function chaining: three greetings, one after the other.

use dacapo_sdk::prelude::*;

#[orchestrator]
async fn hello_sequence(ctx: Context, cities: Option<Vec<String>>) -> Result<Vec<String>> {
    let cities = cities.unwrap_or_else(|| ["Tokyo", "Seattle", "London"].map(String::from).to_vec());
    let mut greetings = Vec::new();
    for city in cities {
        greetings.push(ctx.call_activity::<say_hello>(city).await?);
    }
    Ok(greetings)
}

#[activity]
fn say_hello(name: String) -> String {
    format!("Hello, {name}!")
}

dacapo_sdk::app!(hello_sequence, say_hello);
