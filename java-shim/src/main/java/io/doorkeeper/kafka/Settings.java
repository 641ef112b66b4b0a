// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.kafka;

import java.util.Collection;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.apache.kafka.common.config.types.Password;

/** The broker's configuration as text. What the texts mean is the core's business. */
final class Settings {
    private Settings() {
    }

    /** What the core reads, and so what decides whether two authorizers can share one. */
    static SortedMap<String, String> forCore(Map<String, ?> configs) {
        SortedMap<String, String> settings = new TreeMap<>();
        configs.forEach((key, value) -> {
            if (isForCore(key) && value != null) {
                settings.put(key, text(value));
            }
        });
        return settings;
    }

    /** The text of one setting, empty if it is not there. */
    static String text(Map<String, ?> configs, String key) {
        Object value = configs.get(key);
        return value == null ? "" : text(value).trim();
    }

    private static boolean isForCore(String key) {
        return key.startsWith("doorkeeper.") || key.equals("super.users")
                || key.equals("num.io.threads");
    }

    private static String text(Object value) {
        if (value instanceof Password) {
            return ((Password) value).value();
        }
        if (value instanceof Collection) {
            return ((Collection<?>) value).stream().map(Settings::text)
                    .collect(Collectors.joining(","));
        }
        return value.toString();
    }
}
