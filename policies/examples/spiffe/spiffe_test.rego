# SPDX-License-Identifier: Apache-2.0
package examples.spiffe_test

import data.examples.spiffe

question(uri, action) := {
	"version": 1,
	"cluster": {"id": "c1"},
	"principal": principal(uri),
	"client": {"listener": "CLIENT", "forwarded": false},
	"action": action,
}

principal(uri) := {"type": "User", "name": "O=Example", "subject": {
	"rdns": [[{"type": "O", "value": "Example"}]],
	"issuer": [[{"type": "CN", "value": "ca"}]],
	"san": {"dns": [], "uri": [uri], "email": [], "ip": []},
}}

on(operation, type, name) := {
	"operation": operation,
	"resource": {"type": type, "name": name, "pattern": "LITERAL"},
}

payments := "spiffe://example.org/ns/payments/sa/api"

allowed(uri, action) := answer if {
	answer := spiffe.allow with input as question(uri, action)
}

test_own_resources if {
	allowed(payments, on("READ", "TOPIC", "payments.orders"))
	allowed(payments, on("WRITE", "TOPIC", "payments.orders"))
	allowed(payments, on("DESCRIBE", "TOPIC", "payments.orders"))
	allowed(payments, on("READ", "GROUP", "payments.api"))
	allowed(payments, on("WRITE", "TRANSACTIONAL_ID", "payments.1"))
	allowed(payments, {"operation": "WRITE", "resource": {"type": "TOPIC", "pattern": "LITERAL"}})
}

test_nothing_else if {
	not allowed(payments, on("DELETE", "TOPIC", "payments.orders"))
	not allowed(payments, on("READ", "TOPIC", "paymentsx.orders"))
	not allowed(payments, on("READ", "TOPIC", "payments"))
	not allowed(payments, on("READ", "TOPIC", "shipping.orders"))
	not allowed(payments, on("DESCRIBE", "CLUSTER", "kafka-cluster"))
	not allowed(payments, {"operation": "READ", "resource": {"type": "TOPIC", "pattern": "LITERAL"}})
}

test_only_full_ids_of_the_trust_domain if {
	every uri in [
		"spiffe://evil.org/ns/payments/sa/api",
		"spiffe://example.org/ns/payments",
		"spiffe://example.org/ns/payments/sa/api/more",
		"spiffe://example.org/x/payments/sa/api",
		"https://example.org/ns/payments/sa/api",
	] {
		not allowed(uri, on("READ", "TOPIC", "payments.orders"))
	}
	not allowed("spiffe://example.org/ns//sa/api", on("READ", "TOPIC", ".orders"))
}

test_a_principal_without_certificate if {
	answer := spiffe.allow with input as object.union(
		question(payments, on("READ", "TOPIC", "payments.orders")),
		{"principal": {"subject": null}},
	)
	answer == false
}

test_the_poll_is_answered if {
	answer := spiffe.allow with input as {"version": 1, "cluster": {"id": "c1"}}
	answer == false
}
