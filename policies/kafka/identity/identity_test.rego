# SPDX-License-Identifier: Apache-2.0
package kafka.identity_test

import data.kafka.identity

principal(rdns, uris) := {"type": "User", "name": "anything", "subject": {
	"rdns": rdns,
	"issuer": [[{"type": "CN", "value": "ca"}]],
	"san": {"dns": [], "uri": uris, "email": [], "ip": []},
}}

cn(value) := {"type": "CN", "value": value}

ou(value) := {"type": "OU", "value": value}

common_names(rdns) := {name | name := identity.common_name(principal(rdns, []))}

spiffe_ids(uris) := {id | id := identity.spiffe_id(principal([], uris))}

test_common_name if {
	common_names([[cn("alice")]]) == {"alice"}
	common_names([[ou("x")], [cn("alice,OU=y")]]) == {"alice,OU=y"}
	common_names([[ou("x"), cn("alice")]]) == {"alice"}
}

test_no_common_name if {
	common_names([]) == set()
	common_names([[ou("alice")]]) == set()
	common_names([[cn("alice")], [cn("bob")]]) == set()
	common_names([[cn("alice"), cn("alice")]]) == set()
}

test_attributes if {
	identity.attributes([[ou("b"), cn("x")], [ou("a")]], "OU") == ["b", "a"]
	identity.attributes([], "OU") == []
}

test_spiffe_id if {
	spiffe_ids(["spiffe://example.org/ns/pay/sa/api"]) == {"spiffe://example.org/ns/pay/sa/api"}
}

test_no_spiffe_id if {
	spiffe_ids([]) == set()
	spiffe_ids(["https://example.org"]) == set()
	spiffe_ids(["spiffe://example.org/a", "spiffe://example.org/b"]) == set()
	spiffe_ids(["SPIFFE://example.org/a"]) == set()
}

test_nothing_without_a_certificate if {
	bare := {"type": "User", "name": "alice"}
	{x | x := identity.common_name(bare)} == set()
	{x | x := identity.spiffe_id(bare)} == set()
}
