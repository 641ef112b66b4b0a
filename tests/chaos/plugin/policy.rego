# SPDX-License-Identifier: Apache-2.0

# What the grants of test_outages.py and the shipped policy allow, for the questions of
# opa-kafka-plugin: topics and groups begin with the name of the user who may use them.
package plugin

default allow := false

allow if {
	resource.patternType == "LITERAL"
	startswith(resource.name, sprintf("%s%s", [principal.name, separator[resource.resourceType]]))
	input.action.operation in {"READ", "WRITE", "DESCRIBE"}
}

# Whether a producer may write to some topic: that is asked before it may be idempotent.
allow if {
	resource.patternType == "PREFIXED"
	resource.resourceType == "TOPIC"
	input.action.operation == "WRITE"
	principal.name in {"alice", "carol"}
}

principal := input.requestContext.principal

resource := input.action.resourcePattern

separator := {"TOPIC": "-", "GROUP": ":", "TRANSACTIONAL_ID": ":"}
