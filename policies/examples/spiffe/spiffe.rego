# SPDX-License-Identifier: Apache-2.0

# METADATA
# title: Example of a policy of one's own
# description: |
#   Every workload of a Kubernetes namespace may produce to and consume from the topics of that
#   namespace, and nothing else. The namespace comes from the SPIFFE id in the certificate:
#   spiffe://example.org/ns/payments/sa/api owns the topics, groups and transactional ids that
#   begin with "payments.". Written for one question at a time; policies/adapter/batch.rego makes
#   a batch rule of it.
package examples.spiffe

import data.kafka.identity

default allow := false

allow if {
	input.version == 1
	input.action.resource.pattern == "LITERAL"
	input.action.operation in operations[input.action.resource.type]
	startswith(input.action.resource.name, concat("", [namespace, "."]))
}

# "Any topic": asked when an idempotent producer starts.
allow if {
	input.version == 1
	input.action.operation == "WRITE"
	input.action.resource == {"type": "TOPIC", "pattern": "LITERAL"}
	namespace
}

operations := {
	"TOPIC": {"READ", "WRITE", "DESCRIBE"},
	"GROUP": {"READ", "DESCRIBE"},
	"TRANSACTIONAL_ID": {"WRITE", "DESCRIBE"},
}

namespace := name if {
	["spiffe:", "", "example.org", "ns", name, "sa", _] = split(identity.spiffe_id(input.principal), "/")
	name != ""
}
