# SPDX-License-Identifier: Apache-2.0

# METADATA
# title: A batch rule for any existing allow rule
# description: |
#   Asks data.kafka.authz.allow one question after the other, each in the single form of
#   docs/policy-input.md. For a rule of your own change its name in `answer`, and set
#   doorkeeper.opa.batch.path to adapter/batch. The rule must have a value for every question,
#   so give it `default allow := false`: while it has none for a question without an action,
#   `batch` is undefined too, and Doorkeeper takes OPA for not ready.
package adapter

# METADATA
# entrypoint: true
batch := [answers |
	some request in input.requests
	answers := [indices(request, ask) | some ask in request.asks]
] if is_boolean(answer(head))

head := {"version": input.version, "cluster": input.cluster}

answer(question) := result if {
	result := data.kafka.authz.allow with input as question
}

indices(request, ask) := {i |
	some i, name in ask.names
	answer(question(request, ask, {"name": name})) == true
} if {
	"names" in object.keys(ask)
}

indices(request, ask) := {0 | answer(question(request, ask, {})) == true} if {
	not "names" in object.keys(ask)
}

question(request, ask, name) := {
	"version": input.version,
	"cluster": input.cluster,
	"principal": request.principal,
	"client": request.client,
	"action": {
		"operation": ask.operation,
		"resource": object.union({"type": ask.type, "pattern": ask.pattern}, name),
	},
}
