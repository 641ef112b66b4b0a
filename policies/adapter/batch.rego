# SPDX-License-Identifier: Apache-2.0

# METADATA
# title: A batch rule for any existing allow rule
# description: |
#   Asks one rule about one action after the other, each in the single form of
#   docs/policy-input.md. For a rule of your own change the import, and set
#   doorkeeper.opa.batch.path to adapter/batch. The rule must have a value for every question, so
#   give it `default allow := false`: as long as it has none for a question without an action,
#   `batch` is undefined too, and Doorkeeper waits for OPA to be ready.
package adapter

import data.kafka.authz.allow

# METADATA
# entrypoint: true
batch := [answers |
	some request in input.requests
	answers := [allowed(request, ask) | some ask in request.asks]
] if {
	answer := allow with input as {"version": input.version, "cluster": input.cluster}
	is_boolean(answer)
}

allowed(request, ask) := {i |
	some i, name in ask.names
	allow == true with input as {
		"version": input.version,
		"cluster": input.cluster,
		"principal": request.principal,
		"client": request.client,
		"action": {
			"operation": ask.operation,
			"resource": {"type": ask.type, "name": name, "pattern": ask.pattern},
		},
	}
} if {
	"names" in object.keys(ask)
}

allowed(request, ask) := {0 |
	allow == true with input as {
		"version": input.version,
		"cluster": input.cluster,
		"principal": request.principal,
		"client": request.client,
		"action": {
			"operation": ask.operation,
			"resource": {"type": ask.type, "pattern": ask.pattern},
		},
	}
} if {
	not "names" in object.keys(ask)
}
