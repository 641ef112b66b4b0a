// SPDX-License-Identifier: Apache-2.0
package io.doorkeeper.bench;

import java.io.IOException;
import java.net.InetAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;

/** The least that a question to OPA costs: a connection that stays open, one write, one read. */
final class BareClient implements AutoCloseable {
    private static final String LENGTH = "\r\nContent-Length: ";
    private static final String HEAD_END = "\r\n\r\n";
    private static final int TIMEOUT_MS = 5000;

    private final Socket socket;
    private final int port;
    private final byte[] received = new byte[64 * 1024];

    BareClient(int port) throws IOException {
        this.port = port;
        this.socket = new Socket(InetAddress.getLoopbackAddress(), port);
        socket.setTcpNoDelay(true);
        socket.setSoTimeout(TIMEOUT_MS);
    }

    /** The body of OPA's answer. */
    String post(String path, String body) throws IOException {
        String request = "POST " + path + " HTTP/1.1\r\nHost: 127.0.0.1:" + port
                + "\r\nContent-Type: application/json" + LENGTH + body.length() + HEAD_END + body;
        socket.getOutputStream().write(request.getBytes(StandardCharsets.US_ASCII));
        return receive();
    }

    private String receive() throws IOException {
        int length = 0;
        while (length < received.length) {
            int read = socket.getInputStream().read(received, length, received.length - length);
            if (read < 0) {
                throw new IOException("OPA closed the connection");
            }
            length += read;
            String answer = new String(received, 0, length, StandardCharsets.US_ASCII);
            int head = answer.indexOf(HEAD_END);
            if (head >= 0 && length == head + HEAD_END.length() + bodyLength(answer)) {
                return answer.substring(head + HEAD_END.length());
            }
        }
        throw new IOException("OPA's answer is too long");
    }

    private static int bodyLength(String answer) throws IOException {
        int at = answer.indexOf(LENGTH);
        if (!answer.startsWith("HTTP/1.1 200 ") || at < 0) {
            throw new IOException("not an answer that this client understands: " + answer);
        }
        int from = at + LENGTH.length();
        return Integer.parseInt(answer.substring(from, answer.indexOf('\r', from)));
    }

    @Override
    public void close() throws IOException {
        socket.close();
    }
}
