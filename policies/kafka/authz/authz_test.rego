# SPDX-License-Identifier: Apache-2.0
package kafka.authz_test

import data.kafka.authz

grants := {
	"topics": {
		"orders": {"read": ["alice", "bob"], "write": ["alice"]},
		"audit": {"delete": ["carol"], "alter": ["dave"], "describe": ["erin"]},
		"settings": {"alter_configs": ["carol"], "describe_configs": ["erin"], "create": ["dave"]},
	},
	"groups": {"billing": {"read": ["bob"], "delete": ["carol"]}},
	"transactional_ids": {"settlement": {"write": ["bob"], "two_phase_commit": ["carol"]}},
	"cluster": {"kafka-cluster": {"create": ["carol"], "idempotent_write": ["dave"]}},
}

# who, operation, type, name (null: any), allowed?
cases := [
	# The story: alice produces and consumes, bob consumes, mallory has no grant.
	["alice", "READ", "TOPIC", "orders", true],
	["alice", "WRITE", "TOPIC", "orders", true],
	["alice", "DESCRIBE", "TOPIC", "orders", true],
	["bob", "READ", "TOPIC", "orders", true],
	["bob", "DESCRIBE", "TOPIC", "orders", true],
	["bob", "WRITE", "TOPIC", "orders", false],
	["mallory", "READ", "TOPIC", "orders", false],
	["mallory", "WRITE", "TOPIC", "orders", false],
	["mallory", "DESCRIBE", "TOPIC", "orders", false],
	["mallory", "WRITE", "TOPIC", null, false],
	["mallory", "DESCRIBE", "TOPIC", null, false],
	["mallory", "READ", "GROUP", "mallory", true],
	["mallory", "READ", "GROUP", "mallory:1", true],
	["mallory", "WRITE", "TRANSACTIONAL_ID", "mallory:1", true],
	["mallory", "READ", "GROUP", null, true],
	# Nobody gets by a grant on topics what it does not imply.
	["alice", "CREATE", "TOPIC", "orders", false],
	["alice", "DELETE", "TOPIC", "orders", false],
	["alice", "ALTER", "TOPIC", "orders", false],
	["alice", "DESCRIBE_CONFIGS", "TOPIC", "orders", false],
	["alice", "ALTER_CONFIGS", "TOPIC", "orders", false],
	["alice", "CREATE", "CLUSTER", "kafka-cluster", false],
	["alice", "DESCRIBE", "CLUSTER", "kafka-cluster", false],
	["alice", "CLUSTER_ACTION", "CLUSTER", "kafka-cluster", false],
	["alice", "READ", "TOPIC", "order", false],
	["alice", "READ", "TOPIC", "Orders", false],
	["alice", "READ", "TOPIC", "", false],
	["", "READ", "TOPIC", "orders", false],
	["alic", "READ", "TOPIC", "orders", false],
	["ANONYMOUS", "READ", "TOPIC", "orders", false],
	# An idempotent producer: IDEMPOTENT_WRITE is denied, any topic to write to is enough.
	["alice", "IDEMPOTENT_WRITE", "CLUSTER", "kafka-cluster", false],
	["alice", "WRITE", "TOPIC", null, true],
	["bob", "WRITE", "TOPIC", null, false],
	["dave", "IDEMPOTENT_WRITE", "CLUSTER", "kafka-cluster", true],
	# A transactional producer, with an id of its own name or by a grant.
	["alice", "WRITE", "TRANSACTIONAL_ID", "alice", true],
	["alice", "WRITE", "TRANSACTIONAL_ID", "alice:loader-1", true],
	["alice", "DESCRIBE", "TRANSACTIONAL_ID", "alice:loader-1", true],
	["alice", "TWO_PHASE_COMMIT", "TRANSACTIONAL_ID", "alice:loader-1", false],
	["alice", "READ", "TRANSACTIONAL_ID", "alice:loader-1", false],
	["alice", "WRITE", "TRANSACTIONAL_ID", "alice-loader", false],
	["alice", "WRITE", "TRANSACTIONAL_ID", "bob:loader-1", false],
	["alice", "WRITE", "TRANSACTIONAL_ID", "settlement", false],
	["alice", "WRITE", "TRANSACTIONAL_ID", null, true],
	["bob", "WRITE", "TRANSACTIONAL_ID", "settlement", true],
	["bob", "DESCRIBE", "TRANSACTIONAL_ID", "settlement", true],
	["bob", "TWO_PHASE_COMMIT", "TRANSACTIONAL_ID", "settlement", false],
	["bob", "WRITE", "TRANSACTIONAL_ID", "bob:1", true],
	["carol", "TWO_PHASE_COMMIT", "TRANSACTIONAL_ID", "settlement", true],
	["carol", "DESCRIBE", "TRANSACTIONAL_ID", "settlement", false],
	# A consumer, with a group of its own name or by a grant.
	["bob", "READ", "GROUP", "bob", true],
	["bob", "READ", "GROUP", "bob:reports", true],
	["bob", "READ", "GROUP", "bob:reports:daily", true],
	["bob", "DESCRIBE", "GROUP", "bob:reports", true],
	["bob", "DELETE", "GROUP", "bob:reports", false],
	["bob", "READ", "GROUP", "bobby", false],
	["bob", "READ", "GROUP", "bob-reports", false],
	["bob", "READ", "GROUP", "alice:reports", false],
	["bob", "READ", "GROUP", ":bob", false],
	["bob", "READ", "GROUP", "", false],
	["bob", "READ", "GROUP", "billing", true],
	["bob", "DESCRIBE", "GROUP", "billing", true],
	["bob", "READ", "GROUP", null, true],
	["bob", "DELETE", "GROUP", null, false],
	["carol", "DELETE", "GROUP", null, true],
	["alice", "READ", "GROUP", "billing", false],
	["mallory", "READ", "GROUP", "bob:reports", false],
	["mallory", "WRITE", "TRANSACTIONAL_ID", "alice", false],
	["carol", "DELETE", "GROUP", "billing", true],
	["carol", "DESCRIBE", "GROUP", "billing", true],
	["carol", "READ", "GROUP", "billing", false],
	# A topic called like somebody is nobody's own.
	["bob", "READ", "TOPIC", "bob", false],
	["bob", "READ", "TOPIC", "bob:1", false],
	# Kafka's implied operations.
	["carol", "DELETE", "TOPIC", "audit", true],
	["carol", "DESCRIBE", "TOPIC", "audit", true],
	["carol", "READ", "TOPIC", "audit", false],
	["dave", "ALTER", "TOPIC", "audit", true],
	["dave", "DESCRIBE", "TOPIC", "audit", true],
	["erin", "DESCRIBE", "TOPIC", "audit", true],
	["erin", "DELETE", "TOPIC", "audit", false],
	["carol", "ALTER_CONFIGS", "TOPIC", "settings", true],
	["carol", "DESCRIBE_CONFIGS", "TOPIC", "settings", true],
	["carol", "DESCRIBE", "TOPIC", "settings", false],
	["erin", "DESCRIBE_CONFIGS", "TOPIC", "settings", true],
	["erin", "ALTER_CONFIGS", "TOPIC", "settings", false],
	["dave", "CREATE", "TOPIC", "settings", true],
	["dave", "DESCRIBE", "TOPIC", "settings", false],
	["carol", "CREATE", "CLUSTER", "kafka-cluster", true],
	["carol", "CREATE", "TOPIC", "orders", false],
	# What there are no grants of, and what is not known here.
	["alice", "CREATE_TOKENS", "USER", "User:alice", false],
	["alice", "DESCRIBE", "DELEGATION_TOKEN", "token", false],
	["alice", "ALL", "TOPIC", "orders", false],
	["alice", "ANY", "TOPIC", "orders", false],
	["alice", "UNKNOWN_77", "TOPIC", "orders", false],
	["alice", "READ", "UNKNOWN_9", "orders", false],
	["alice", "read", "TOPIC", "orders", false],
]

action(operation, type, name) := {
	"operation": operation,
	"resource": {"type": type, "name": name, "pattern": "LITERAL"},
} if {
	name != null
}

action(operation, type, null) := {
	"operation": operation,
	"resource": {"type": type, "pattern": "LITERAL"},
}

ask(operation, type, name) := {
	"operation": operation,
	"type": type,
	"pattern": "LITERAL",
	"names": [name],
} if {
	name != null
}

ask(operation, type, null) := {"operation": operation, "type": type, "pattern": "LITERAL"}

single(who, asked) := {
	"version": 1,
	"cluster": {"id": "c1"},
	"principal": {"type": "User", "name": who},
	"client": {},
	"action": asked,
}

requests(list) := {"version": 1, "cluster": {"id": "c1"}, "requests": list}

request(who, asks) := {
	"principal": {"type": "User", "name": who},
	"client": {},
	"asks": asks,
}

test_single_rule if {
	every case in cases {
		[who, operation, type, name, expected] := case
		answer := authz.allow with input as single(who, action(operation, type, name))
			with data.kafka.grants as grants
		answer == expected
	}
}

test_batch_rule_gives_the_same_answers if {
	asked := requests([request(who, [ask(operation, type, name)]) |
		some [who, operation, type, name, _] in cases
	])
	answer := authz.batch with input as asked with data.kafka.grants as grants
	answer == [[{0 | case[4]}] | some case in cases]
}

test_batch_keeps_requests_asks_and_names_apart if {
	asked := requests([
		request("bob", [
			{"operation": "READ", "type": "TOPIC", "pattern": "LITERAL", "names": ["a", "orders", "b", "orders2"]},
			{"operation": "WRITE", "type": "TOPIC", "pattern": "LITERAL", "names": ["orders"]},
			{"operation": "READ", "type": "GROUP", "pattern": "LITERAL", "names": ["bob", "alice", "billing"]},
		]),
		request("alice", [{"operation": "WRITE", "type": "TOPIC", "pattern": "LITERAL"}]),
		request("mallory", [{"operation": "READ", "type": "TOPIC", "pattern": "LITERAL", "names": ["orders"]}]),
	])
	answer := authz.batch with input as asked with data.kafka.grants as grants
	answer == [[{1}, set(), {0, 2}], [{0}], [set()]]
}

test_a_new_grant_lets_bob_write if {
	asked := single("bob", action("WRITE", "TOPIC", "orders"))
	before := authz.allow with input as asked with data.kafka.grants as grants
	after := authz.allow with input as asked
		with data.kafka.grants as {"topics": {"orders": {"write": ["alice", "bob"]}}}
	[before, after] == [false, true]
}

test_only_literal_names if {
	every pattern in ["PREFIXED", "ANY", "MATCH", "UNKNOWN", "", "literal", null] {
		every resource in [{"type": "TOPIC", "name": "orders"}, {"type": "TOPIC"}] {
			asked := {"operation": "WRITE", "resource": object.union(resource, {"pattern": pattern})}
			answer := authz.allow with input as single("alice", asked) with data.kafka.grants as grants
			answer == false
		}
	}
}

test_only_users if {
	every type in ["Group", "user", "", null] {
		every name in ["orders", null] {
			asked := object.union(
				single("alice", action("WRITE", "TOPIC", name)),
				{"principal": {"type": type, "name": "alice"}},
			)
			answer := authz.allow with input as asked with data.kafka.grants as grants
			answer == false
		}
	}
}

# Who has colons in the name owns no more than the part before the first one says.
test_an_owner_is_the_text_before_the_first_colon if {
	known := {"topics": {"orders": {"read": ["team:alice", "team"]}}}
	answers := [answer |
		some who in ["team:alice", "team"]
		asked := single(who, action("READ", "GROUP", "team:alice:x"))
		answer := authz.allow with input as asked with data.kafka.grants as known
	]
	answers == [false, true]
}

test_the_poll_is_answered if {
	batch := authz.batch with input as requests([]) with data.kafka.grants as grants
	allow := authz.allow with input as {"version": 1, "cluster": {"id": "c1"}}
		with data.kafka.grants as grants
	[batch, allow] == [[], false]
}

# Undefined shows as an empty set.
both_rules := {"batch": {x | x := authz.batch}, "allow": {x | x := authz.allow}}

test_no_grants_is_no_answer if {
	every missing in [{}, {"groups": {}}, {"topics": null}, {"topics": []}] {
		every asked in [requests([]), single("alice", action("READ", "TOPIC", "orders"))] {
			answers := both_rules with input as asked with data.kafka.grants as missing
			answers == {"batch": set(), "allow": set()}
		}
	}
}

test_grants_without_any_entry_deny if {
	answer := authz.allow with input as single("alice", action("READ", "TOPIC", "orders"))
		with data.kafka.grants as {"topics": {}}
	answer == false
}

test_another_version_is_no_answer if {
	every version in [0, 2, "1", null] {
		every asked in [requests([]), single("alice", action("READ", "TOPIC", "orders"))] {
			answers := both_rules with input as object.union(asked, {"version": version})
				with data.kafka.grants as grants
			answers == {"batch": set(), "allow": set()}
		}
	}
}

malformed_actions := [
	null,
	"READ",
	[],
	{},
	{"operation": "READ"},
	{"operation": "READ", "resource": null},
	{"operation": "READ", "resource": {"name": "orders"}},
	{"operation": "READ", "resource": {"type": "TOPIC", "name": "orders"}},
	{"operation": "READ", "resource": {"type": "TOPIC", "name": null, "pattern": "LITERAL"}},
	{"operation": "READ", "resource": {"type": "TOPIC", "name": ["orders"], "pattern": "LITERAL"}},
	{"operation": ["READ"], "resource": {"type": "TOPIC", "name": "orders", "pattern": "LITERAL"}},
	{"operation": null, "resource": {"type": "TOPIC", "name": "orders", "pattern": "LITERAL"}},
	{"resource": {"type": "TOPIC", "name": "orders", "pattern": "LITERAL"}},
]

test_malformed_single_questions_are_denied if {
	every malformed in malformed_actions {
		answer := authz.allow with input as single("alice", malformed)
			with data.kafka.grants as grants
		answer == false
	}
}

test_malformed_principals_are_denied if {
	every principal in [null, "alice", {}, {"name": "alice"}, {"type": "User"}, {"type": "User", "name": ["alice"]}] {
		asked := json.patch(
			single("alice", action("READ", "TOPIC", "orders")),
			[{"op": "replace", "path": "/principal", "value": principal}],
		)
		answer := authz.allow with input as asked with data.kafka.grants as grants
		answer == false
	}
}

test_malformed_asks_are_denied if {
	malformed := [
		null,
		"READ",
		{},
		{"operation": "READ", "type": "TOPIC", "names": ["orders"]},
		{"operation": "READ", "pattern": "LITERAL", "names": ["orders"]},
		{"type": "TOPIC", "pattern": "LITERAL", "names": ["orders"]},
		{"operation": "READ", "type": "TOPIC", "pattern": "LITERAL", "names": "orders"},
		{"operation": "READ", "type": "TOPIC", "pattern": "LITERAL", "names": null},
		{"operation": "READ", "type": "TOPIC", "pattern": "LITERAL", "names": false},
		{"operation": "READ", "type": "TOPIC", "pattern": "LITERAL", "names": []},
		{"operation": "READ", "type": "TOPIC", "pattern": "LITERAL", "names": [["orders"], 7, null]},
	]
	answer := authz.batch with input as requests([request("alice", malformed)])
		with data.kafka.grants as grants
	answer == [[set() | some _ in malformed]]
}

# Doorkeeper refuses an answer of another length than the question, so nobody is allowed.
test_a_request_without_principal_makes_the_answer_too_short if {
	asked := requests([{"client": {}, "asks": [ask("READ", "TOPIC", "orders")]}])
	answer := authz.batch with input as asked with data.kafka.grants as grants
	answer == [[]]
}

test_malformed_grants_allow_nobody if {
	every broken in [null, "alice", 7, {}, [], {"read": "alice"}, {"read": null}, {"read": [["alice"]]}, ["alice"]] {
		answer := authz.allow with input as single("alice", action("READ", "TOPIC", "orders"))
			with data.kafka.grants as {"topics": {"orders": broken}}
		answer == false
	}
}
