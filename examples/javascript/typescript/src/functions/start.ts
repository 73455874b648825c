import { app, HttpHandler, HttpRequest, HttpResponse, InvocationContext } from '@azure/functions';
import * as df from 'durable-functions';

const startClaim: HttpHandler = async (request: HttpRequest, context: InvocationContext): Promise<HttpResponse> => {
    const client = df.getClient(context);
    const instanceId = await client.startNew('expenseClaim', { input: await request.json() });
    return client.createCheckStatusResponse(request, instanceId);
};

app.http('startClaim', { route: 'claims', methods: ['POST'], extraInputs: [df.input.durableClient()], handler: startClaim });
