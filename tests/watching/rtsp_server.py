"""A camera that speaks RTSP: one client, one track, RTP inside the connection."""

import contextlib
import socket
import struct
import threading

from streams import Sender

SDP = (
    "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=camera\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1\r\n"
    "a=control:track0\r\n"
)
HEADERS = {
    "OPTIONS": "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n",
    "DESCRIBE": "Content-Type: application/sdp\r\n",
    "SETUP": "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n",
}
# The second byte of RTCP packets, which a client can do without.
RTCP = range(200, 205)


class RTSPServer(threading.Thread):
    """Sends so many numbered frames at their own pace, and hangs up."""

    def __init__(self, num_frames):
        super().__init__(daemon=True)
        self.num_frames = num_frames
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]

    def run(self):
        connection, _ = self.listening.accept()
        with self.listening, connection, connection.makefile("rb") as requests:
            while method := requests.readline().decode().split(" ")[0].strip():
                headers = {}
                while line := requests.readline().decode().strip():
                    name, _, value = line.partition(":")
                    headers[name.lower()] = value.strip()
                body = SDP if method == "DESCRIBE" else ""
                connection.sendall(
                    f"RTSP/1.0 200 OK\r\nCSeq: {headers['cseq']}\r\nSession: 1\r\n"
                    f"{HEADERS.get(method, '')}Content-Length: {len(body)}\r\n\r\n{body}".encode()
                )
                if method == "PLAY":
                    self.play(connection)
                    return

    def play(self, connection):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as packets:
            packets.bind(("127.0.0.1", 0))
            packets.settimeout(2)
            address = f"rtp://127.0.0.1:{packets.getsockname()[1]}"
            Sender(address, self.num_frames, wait=0, container="rtp").start()
            with contextlib.suppress(OSError):
                while packet := packets.recv(65536):
                    if packet[1] not in RTCP:
                        connection.sendall(b"$\0" + struct.pack(">H", len(packet)) + packet)
