//! Human interaction: asks for an approval, and escalates if there is no answer within 72 hours.

use dacapo_sdk::prelude::*;

#[derive(Serialize, Deserialize)]
#[serde(default)]
struct Expense {
    employee: String,
    amount: f64,
    approver: String,
    /// How long the approver has to answer.
    timeout_seconds: f64,
}

impl Default for Expense {
    fn default() -> Self {
        Self { employee: "ada".to_owned(), amount: 120.0, approver: "grace".to_owned(), timeout_seconds: 72.0 * 3600.0 }
    }
}

/// The data of the event `Approval`.
#[derive(Deserialize)]
struct Approval {
    approved: bool,
    #[serde(default)]
    comment: Option<String>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Decision {
    Approved,
    Rejected,
    Escalated,
}

#[derive(Serialize, Deserialize)]
struct Outcome {
    decision: Decision,
    comment: Option<String>,
    decided_at: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct Mail {
    to: String,
    text: String,
}

#[orchestrator]
async fn approval(ctx: Context, expense: Option<Expense>) -> Result<Outcome> {
    let expense = expense.unwrap_or_default();
    let timeout = Duration::try_from_secs_f64(expense.timeout_seconds)
        .map_err(|error| Failure::new("InvalidTimeout", error.to_string()).not_retriable())?;
    let question = format!("{} asks for {:.2}. Approve {}?", expense.employee, expense.amount, ctx.instance_id());
    ctx.call_activity::<send_mail>(Mail { to: expense.approver, text: question }).await?;
    ctx.set_custom_status("waiting for the event `Approval`")?;

    let answer = ctx.wait_for_external_event::<Approval>("Approval").timeout(timeout).await?;
    let (decision, comment) = match answer {
        Some(Approval { approved: true, comment }) => (Decision::Approved, comment),
        Some(Approval { approved: false, comment }) => (Decision::Rejected, comment),
        None => {
            let text = format!("nobody decided about {:.2} for {}", expense.amount, expense.employee);
            ctx.call_activity::<send_mail>(Mail { to: "the head of the department".to_owned(), text }).await?;
            (Decision::Escalated, None)
        }
    };
    ctx.set_custom_status(&decision)?;
    Ok(Outcome { decision, comment, decided_at: ctx.current_utc_date_time() })
}

/// Stands in for a mail server.
#[activity]
fn send_mail(ctx: ActivityContext, mail: Mail) {
    ctx.log_info(format!("to {}: {}", mail.to, mail.text));
}

dacapo_sdk::app!(approval, send_mail);
