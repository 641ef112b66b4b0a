#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes a decision log as OPA would, for measuring `doorkeeper replay`.

    bench/decision_log.py --events 10000000 --questions 100000 > log.jsonl

Clients c0, c1, … read and write topics t0, t1, …; each may read half of them and write a tenth.
With --grants it writes the data document that answers so, for a bundle with the shipped policy.
"""

import argparse
import itertools
import json
import random
import sys

TOPICS_PER_CLIENT = 100


def allowed(client, topic, operation):
    return (client + topic) % (2 if operation == "READ" else 10) == 0


def question(number):
    """Client, topic and operation of one distinct question."""
    operation = "READ" if number % 2 else "WRITE"
    client, topic = divmod(number // 2, TOPICS_PER_CLIENT)
    return client, topic, operation


def event(number):
    """What comes before the decision id, between it and the times, and behind them."""
    client, topic, operation = question(number)
    name = f"c{client}"
    source = {
        "version": 1,
        "cluster": {"id": "4L6g3nShT-eMCtK--X86sw"},
        "principal": {
            "type": "User",
            "name": name,
            "subject": {
                "rdns": [[{"type": "O", "value": "Example"}], [{"type": "CN", "value": name}]],
                "issuer": [[{"type": "CN", "value": "Clients CA"}]],
                "san": {"dns": [], "uri": [], "email": [], "ip": []},
            },
        },
        "client": {"listener": "CLIENT", "forwarded": False},
        "action": {
            "operation": operation,
            "resource": {"type": "TOPIC", "name": f"t{topic}", "pattern": "LITERAL"},
        },
    }
    result = "true" if allowed(client, topic, operation) else "false"
    packed = json.dumps(source, separators=(",", ":"), sort_keys=True)
    return (
        '","input":%s,"labels":{"id":"06955c3f-195d-4e04-9a17-9dfb5f58d904","version":"1.22.2"},'
        '"level":"info","metrics":{"counter_server_query_cache_hit":1,'
        '"timer_rego_external_resolve_ns":281,"timer_rego_input_parse_ns":19961,'
        '"timer_rego_query_eval_ns":42518,"timer_server_handler_ns":88857},"msg":"Decision Log",'
        '"path":"kafka/authz/allow","req_id":2,"requested_by":"127.0.0.1:40112","result":%s,'
        '"time":"2026-03-01T00:00:00Z","timestamp":"2026-03-' % (packed, result)
    ).encode()


def grants(questions):
    topics = {}
    for number in range(questions):
        client, topic, operation = question(number)
        if allowed(client, topic, operation):
            lists = topics.setdefault(f"t{topic}", {})
            lists.setdefault(operation.lower(), []).append(f"c{client}")
    return {"topics": topics}


def write_events(events, questions):
    chance = random.Random(1)
    middles = [event(number) for number in range(questions)]
    order = itertools.chain(range(questions), iter(lambda: chance.randrange(questions), None))
    lines = []
    for i, number in zip(range(events), order):
        second = i * 86400 * 28 // events
        lines.append(
            b'{"decision_id":"3c3afc13-ec37-4965-84bf-%012x%s%02dT%02d:%02d:%02d.%09dZ",'
            b'"type":"openpolicyagent.org/decision_logs"}\n'
            % (i, middles[number], second // 86400 + 1, second // 3600 % 24, second // 60 % 60,
               second % 60, i % 1000000000)
        )
        if len(lines) == 10000:
            sys.stdout.buffer.write(b"".join(lines))
            lines.clear()
    sys.stdout.buffer.write(b"".join(lines))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=1000000)
    parser.add_argument("--questions", type=int, default=100000)
    parser.add_argument("--grants", action="store_true")
    arguments = parser.parse_args()
    if arguments.grants:
        json.dump(grants(arguments.questions), sys.stdout)
    else:
        write_events(arguments.events, arguments.questions)


if __name__ == "__main__":
    main()
