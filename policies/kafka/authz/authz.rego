# SPDX-License-Identifier: Apache-2.0

# METADATA
# title: Who may do what in a Kafka cluster
# description: |
#   Denies by default. What is allowed stands in data.kafka.grants, and docs/policy-input.md says
#   how. Both rules are undefined while there are no grants or the question has another version,
#   so that neither is taken for a denial.
package kafka.authz

# METADATA
# description: Answers many questions; per request and ask the indices of the allowed names.
# entrypoint: true
batch := [answers |
	some request in input.requests
	answers := [allowed(request.principal, ask) | some ask in request.asks]
] if ready

# METADATA
# description: Answers one question.
# entrypoint: true
allow := single_allowed if ready

default single_allowed := false

single_allowed if allowed(input.principal, single_ask) == {0}

ready if {
	input.version == 1
	is_object(data.kafka.grants.topics)
}

single_ask := {
	"operation": input.action.operation,
	"type": input.action.resource.type,
	"pattern": input.action.resource.pattern,
	"names": [input.action.resource.name],
}

single_ask := {
	"operation": input.action.operation,
	"type": input.action.resource.type,
	"pattern": input.action.resource.pattern,
} if {
	not "name" in object.keys(input.action.resource)
}

# The part of the grants that speaks of a resource type.
section_of := {
	"TOPIC": "topics",
	"GROUP": "groups",
	"CLUSTER": "cluster",
	"TRANSACTIONAL_ID": "transactional_ids",
	"DELEGATION_TOKEN": "delegation_tokens",
	"USER": "users",
}

# Which grants allow an operation: itself, and those by which Kafka's ACLs imply it.
grants_for := {
	"READ": ["read"],
	"WRITE": ["write"],
	"CREATE": ["create"],
	"DELETE": ["delete"],
	"ALTER": ["alter"],
	"DESCRIBE": ["describe", "read", "write", "delete", "alter"],
	"CLUSTER_ACTION": ["cluster_action"],
	"DESCRIBE_CONFIGS": ["describe_configs", "alter_configs"],
	"ALTER_CONFIGS": ["alter_configs"],
	"IDEMPOTENT_WRITE": ["idempotent_write"],
	"CREATE_TOKENS": ["create_tokens"],
	"DESCRIBE_TOKENS": ["describe_tokens"],
	"TWO_PHASE_COMMIT": ["two_phase_commit"],
}

# What clients may do with groups and transactional ids that are their own by name. Whether they have
# a use for them, a grant on some topic, is not asked: to look for one takes time that grows with the
# number of topics, and whoever has a certificate could spend it with every name that they invent.
own := {
	"GROUP": {"READ", "DESCRIBE"},
	"TRANSACTIONAL_ID": {"WRITE", "DESCRIBE"},
}

# Every answer comes from here: the indices of the names that the principal may have.
default allowed(_, _) := set()

allowed(principal, ask) := granted(principal.name, ask) | owned(principal.name, ask) if {
	principal.type == "User"
	ask.pattern == "LITERAL"
	"names" in object.keys(ask)
}

allowed(principal, ask) := {0} if {
	principal.type == "User"
	ask.pattern == "LITERAL"
	not "names" in object.keys(ask)
	allowed_somewhere(principal.name, ask)
}

granted(who, ask) := {i |
	resources := data.kafka.grants[section_of[ask.type]]
	some grant in grants_for[ask.operation]
	some i, name in ask.names
	who in resources[name][grant]
}

# "alice" owns "alice" and whatever begins with "alice:".
owned(who, ask) := {i |
	ask.operation in own[ask.type]
	some i, name in ask.names
	split(name, ":")[0] == who
}

allowed_somewhere(_, ask) if ask.operation in own[ask.type]

# Looks at every resource of a section; a client has few such questions.
allowed_somewhere(who, ask) if {
	some grant in grants_for[ask.operation]
	some name
	who in data.kafka.grants[section_of[ask.type]][name][grant]
}
