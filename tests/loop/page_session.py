"""Opens the page as a browser does, and prints everything that its first run sends. Arguments: the page's port."""

import sys

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import connect

address = f"ws://127.0.0.1:{sys.argv[1]}/_stcore/stream"
with connect(address, subprotocols=["streamlit"], max_size=None, proxy=None) as session:
    ask = BackMsg()
    ask.rerun_script.query_string = ""
    session.send(ask.SerializeToString())
    finished = False
    while not finished:
        message = ForwardMsg.FromString(session.recv(timeout=60))
        print(message)
        finished = message.WhichOneof("type") == "script_finished"
