# SPDX-License-Identifier: Apache-2.0

# METADATA
# title: Facts of a client's certificate
# description: |
#   Helpers for policies that decide by the certificate and not by Kafka's name for it. All of them
#   are undefined (or empty) for a principal without a certificate, and where
#   doorkeeper.question.fields has no `subject`. Who may issue certificates is the trust store's
#   business: every certificate that comes here has passed it.
package kafka.identity

# METADATA
# description: The subject's common name, if there is exactly one.
common_name(principal) := name if {
	[name] = attributes(principal.subject.rdns, "CN")
}

# METADATA
# description: All values of one attribute of a name, for example of OU, in the certificate's order.
attributes(rdns, type) := [attribute.value |
	some rdn in rdns
	some attribute in rdn
	attribute.type == type
]

# METADATA
# description: |
#   The SPIFFE id, "spiffe://<trust domain>/<path>". A certificate has one URI at most if it has a
#   SPIFFE id; Doorkeeper refuses others.
spiffe_id(principal) := uri if {
	[uri] = principal.subject.san.uri
	startswith(uri, "spiffe://")
}
