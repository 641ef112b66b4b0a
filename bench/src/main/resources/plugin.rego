# SPDX-License-Identifier: Apache-2.0

# The bench's grants for the questions of opa-kafka-plugin: nothing but the look-up that the shipped
# policy does for a topic, so that the plugin's figures hold no more of OPA than they must.
package bench.plugin

default allow := false

allow if {
	input.action.operation == "READ"
	input.action.resourcePattern.resourceType == "TOPIC"
	principal := input.requestContext.principal
	principal.principalType == "User"
	principal.name in data.kafka.grants.topics[input.action.resourcePattern.name].read
}
