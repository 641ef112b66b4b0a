# SPDX-License-Identifier: Apache-2.0
package adapter_test

import data.adapter
import data.kafka.authz
import data.kafka.authz_test

with_all_fields := {
	"principal": {
		"type": "User",
		"name": "alice",
		"subject": {
			"rdns": [[{"type": "CN", "value": "alice"}]],
			"issuer": [[{"type": "CN", "value": "ca"}]],
			"san": {"dns": [], "uri": [], "email": [], "ip": []},
		},
	},
	"client": {"listener": "CLIENT", "forwarded": false},
	"asks": [
		{"operation": "READ", "type": "TOPIC", "pattern": "LITERAL", "names": ["a", "orders"]},
		{"operation": "WRITE", "type": "TOPIC", "pattern": "LITERAL"},
	],
}

asked := authz_test.requests([with_all_fields])

test_gives_the_same_answers_as_the_batch_rule if {
	table := authz_test.requests([authz_test.request(who, [authz_test.ask(operation, type, name)]) |
		some [who, operation, type, name, _] in authz_test.cases
	])
	expected := authz.batch with input as table with data.kafka.grants as authz_test.grants
	answer := adapter.batch with input as table with data.kafka.grants as authz_test.grants
	answer == expected
	count(answer) == count(authz_test.cases)
}

test_keeps_asks_and_names_apart if {
	answer := adapter.batch with input as asked with data.kafka.grants as authz_test.grants
	answer == [[{1}, {0}]]
}

single_question := {
	"version": 1,
	"cluster": {"id": "c1"},
	"principal": with_all_fields.principal,
	"client": with_all_fields.client,
	"action": {
		"operation": "READ",
		"resource": {"type": "TOPIC", "name": "orders", "pattern": "LITERAL"},
	},
}

# Stands in for the function behind the shipped rule and looks at the question instead.
only_single(_, _) := {0} if input == single_question

only_any(_, _) := {0} if {
	input == json.patch(single_question, [
		{"op": "remove", "path": "/action/resource/name"},
		{"op": "replace", "path": "/action/operation", "value": "WRITE"},
	])
}

test_asks_in_the_single_form if {
	answer := adapter.batch with input as asked
		with authz.allowed as only_single
		with data.kafka.grants as authz_test.grants
	answer == [[{1}, set()]]
}

test_asks_for_any_without_a_name if {
	answer := adapter.batch with input as asked
		with authz.allowed as only_any
		with data.kafka.grants as authz_test.grants
	answer == [[set(), {0}]]
}

test_a_rule_that_is_no_boolean_is_no_answer if {
	every value in ["true", 1, {"allow": true}, [true], null] {
		not adapter.batch with input as asked with authz.allow as value
	}
}

test_a_rule_without_default_is_no_answer if {
	not adapter.batch with input as authz_test.requests([]) with data.kafka.grants as {}
	not adapter.batch with input as asked with data.kafka.grants as {}
}

test_the_poll_is_answered if {
	answer := adapter.batch with input as authz_test.requests([])
		with data.kafka.grants as authz_test.grants
	answer == []
}
