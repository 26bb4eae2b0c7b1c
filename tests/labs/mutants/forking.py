"""An echo server that is right, made of Python's own: a process of its own for each client."""

import signal
import socketserver
import sys


class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        while received := self.request.recv(8192):
            print(self.client_address, len(received), flush=True)
            self.request.sendall(received)


class Server(socketserver.ForkingTCPServer):
    # Without it, the next run could not bind while connections of this one are in TIME_WAIT.
    allow_reuse_address = True


signal.signal(signal.SIGPIPE, lambda number, frame: print("SIGPIPE", flush=True))
Server(("", int(sys.argv[1])), Echo).serve_forever(poll_interval=0.1)
