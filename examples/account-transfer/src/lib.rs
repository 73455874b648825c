//! Account transfer: moves money between two entities, atomically, in a critical section.

use dacapo_sdk::prelude::*;

/// One account. The key of the entity is the account's number.
#[derive(Default, Serialize, Deserialize)]
struct Account {
    balance: u64,
}

#[entity]
impl Account {
    fn deposit(&mut self, amount: u64) -> Result<u64> {
        let sum = self.balance.checked_add(amount);
        self.balance = sum.ok_or_else(|| Failure::new("TooMuch", "no account holds that much").not_retriable())?;
        Ok(self.balance)
    }

    /// Fails without changing the balance if it is too low.
    fn withdraw(&mut self, ctx: &EntityContext, amount: u64) -> Result<u64> {
        let Some(rest) = self.balance.checked_sub(amount) else {
            let message = format!("{} holds {} and not {amount}", ctx.key(), self.balance);
            return Err(Failure::new("InsufficientFunds", message).not_retriable());
        };
        self.balance = rest;
        Ok(rest)
    }

    fn balance(&self) -> u64 {
        self.balance
    }
}

#[derive(Serialize, Deserialize)]
struct Transfer {
    from: String,
    to: String,
    amount: u64,
}

/// The balances after the transfer.
#[derive(Serialize, Deserialize)]
struct Receipt {
    from: u64,
    to: u64,
}

/// While both accounts are locked, no other operation reaches them, so none sees the money missing from both. Two transfers
/// in opposite directions cannot deadlock: the host takes locks in one global order, whatever the order here.
#[orchestrator]
async fn transfer(ctx: Context, transfer: Transfer) -> Result<Receipt> {
    let Transfer { from, to, amount } = transfer;
    if from == to {
        return Err(Failure::new("SameAccount", format!("{from} cannot pay itself")).not_retriable());
    }
    let (from, to) = (ctx.entity::<Account>(from), ctx.entity::<Account>(to));
    let _lock = ctx.lock([from.id(), to.id()]).await?;
    let rest = from.withdraw(amount).await?;
    match to.deposit(amount).await {
        Ok(sum) => Ok(Receipt { from: rest, to: sum }),
        Err(failure) => {
            from.deposit(amount).await?;
            Err(failure)
        }
    }
}

dacapo_sdk::app!(Account, transfer);
