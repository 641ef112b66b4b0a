# SPDX-License-Identifier: Apache-2.0

# The shipped policy for the questions of opa-kafka-plugin.
package bench.broker

default allow := false

allow if data.kafka.authz.allow with input as question

question := {
	"version": 1,
	"principal": {
		"type": input.requestContext.principal.principalType,
		"name": input.requestContext.principal.name,
	},
	"action": {
		"operation": input.action.operation,
		"resource": {
			"type": input.action.resourcePattern.resourceType,
			"pattern": input.action.resourcePattern.patternType,
			"name": input.action.resourcePattern.name,
		},
	},
}
