import * as df from 'durable-functions';
import { ActivityHandler, EntityContext, EntityHandler, OrchestrationContext, OrchestrationHandler } from 'durable-functions';
import { InvocationContext } from '@azure/functions';
import { Claim, Line, sumOf } from '../shared/claim';

const BUDGET = 'Budget';

/** Checks the lines in parallel. A large claim needs an approval; reminders are sent while it is missing. */
const claimOrchestrator: OrchestrationHandler = function* (context: OrchestrationContext) {
    const claim: Claim = context.df.getInput();

    const checks: boolean[] = yield context.df.Task.all(claim.lines.map((line) => checkLine(line)));
    const lines = claim.lines.filter((_, index) => checks[index]);
    const cents = sumOf(lines);

    if (cents > 10_000 && !(yield* approved(context, claim.employee))) {
        return { paid: 0, reason: 'not approved' };
    }

    const budget = new df.EntityId(BUDGET, 'travel');
    const left: number = yield context.df.callEntity(budget, 'spend', cents);
    const retry = new df.RetryOptions(10, 4);
    const receipt: string = yield context.df.callActivityWithRetry('pay', retry, { employee: claim.employee, cents });
    return { paid: cents, left, receipt, refused: claim.lines.length - lines.length };
};
df.app.orchestration('expenseClaim', claimOrchestrator);

/** Waits for the approval, with up to three reminders. */
function* approved(context: OrchestrationContext, employee: string): Generator<df.Task, boolean, any> {
    const approval = context.df.waitForExternalEvent('Approval');
    for (let reminder = 1; reminder <= 3; reminder++) {
        const deadline = new Date(context.df.currentUtcDateTime.getTime() + 200);
        const timer = context.df.createTimer(deadline);
        const winner = yield context.df.Task.any([approval, timer]);
        if (winner === approval) {
            timer.cancel();
            return approval.result === true;
        }
        yield context.df.callActivity('remind', { employee, reminder });
    }
    return false;
}

const checkLine = df.app.activity('checkLine', {
    handler: (line: Line): boolean => line.cents > 0 && line.what !== 'champagne',
});

const pay: ActivityHandler = async (payment: { employee: string; cents: number }, context: InvocationContext): Promise<string> => {
    const attempt = context.retryContext?.retryCount ?? 0;
    if (attempt < 1) {
        throw new Error('the bank is busy');
    }
    return `${payment.cents} cents to ${payment.employee}`;
};
df.app.activity('pay', { handler: pay });

df.app.activity('remind', {
    handler: ({ employee, reminder }, context) => context.log(`reminder ${reminder}: the claim of ${employee} waits`),
});

/** The number of cents that are left to spend. */
const budgetEntity: EntityHandler<number> = async (context: EntityContext<number>) => {
    const left = context.df.getState(() => 100_000) as number;
    switch (context.df.operationName) {
        case 'spend': {
            const cents = context.df.getInput<number>() ?? 0;
            if (cents > left) {
                throw new Error(`only ${left} cents are left`);
            }
            context.df.setState(left - cents);
            context.df.return(left - cents);
            break;
        }
        case 'close':
            context.df.destructOnExit();
            break;
    }
};
df.app.entity(BUDGET, budgetEntity);
