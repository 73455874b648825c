from call_http import bp as call_http
from counter import bp as counter
from fan_out_fan_in import bp as fan_out_fan_in
from human_interaction import bp as human_interaction
from monitor import bp as monitor
from retries import bp as retries

import azure.durable_functions as df

app = df.DFApp()

app.register_functions(call_http)
app.register_functions(counter)
app.register_functions(fan_out_fan_in)
app.register_functions(human_interaction)
app.register_functions(monitor)
app.register_functions(retries)
