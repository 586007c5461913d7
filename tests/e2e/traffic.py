"""Many requests of many kinds from many threads, each with a name of its own, and what became of them."""
import collections
import http.client
import json
import random
import threading
import urllib.parse

from harness import GEMINI, MINI, OPUS

WORDS = "the belay holds the rope and the rope holds the climber while the wall stays where it is".split()


class Outcome(collections.namedtuple("Outcome", "call_id key status complete cost usage stream")):
    """`complete`: the client has the whole answer."""


class Traffic:
    """`keys`: {label: key}; the label goes along as the request's `user`."""

    def __init__(self, url, keys, seed, models=(OPUS, GEMINI, MINI), stream_share=0.5, words=60):
        self.address = urllib.parse.urlsplit(url).netloc
        self.keys, self.seed, self.models = keys, seed, models
        self.stream_share, self.words = stream_share, words
        self.outcomes, self.sent = [], []
        self.stop = threading.Event()

    def run(self, count, threads=8):
        """`count` requests; returns their outcomes."""
        shares = [count // threads + (i < count % threads) for i in range(threads)]
        running = [threading.Thread(target=self.work, args=(i, n)) for i, n in enumerate(shares)]
        for thread in running:
            thread.start()
        for thread in running:
            thread.join()
        return self.outcomes

    def start(self, threads=8):
        """Until halt()."""
        self.running = [threading.Thread(target=self.work, args=(i, 10**9)) for i in range(threads)]
        for thread in self.running:
            thread.start()

    def halt(self):
        self.stop.set()
        for thread in self.running:
            thread.join()

    def work(self, number, count):
        chance = random.Random(self.seed * 1000 + number)
        connection = None
        for i in range(count):
            if self.stop.is_set():
                break
            call_id = f"call-{self.seed}-{number}-{i}"
            self.sent.append(call_id)
            label, key = chance.choice(sorted(self.keys.items()))
            stream = chance.random() < self.stream_share
            body = self.body(chance, label, stream)
            try:
                if connection is None:
                    connection = http.client.HTTPConnection(self.address, timeout=60)
                connection.request("POST", "/v1/chat/completions", json.dumps(body), {
                    "Authorization": f"Bearer {key}", "Content-Type": "application/json", "x-litellm-call-id": call_id})
                reply = connection.getresponse()
                text = reply.read()
            except (OSError, http.client.HTTPException):
                connection.close()
                connection = None
                self.outcomes.append(Outcome(call_id, label, 0, False, None, None, stream))
                continue
            self.outcomes.append(self.judge(call_id, label, stream, reply, text))

    def body(self, chance, label, stream):
        text = " ".join(chance.choices(WORDS, k=chance.randint(1, self.words)))
        body = {"model": chance.choice(self.models), "user": label,
                "messages": [{"role": "system", "content": "Answer briefly."}, {"role": "user", "content": text}]}
        if stream:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        if chance.random() < 0.2:
            body["tools"] = [{"type": "function", "function": {
                "name": "lookup", "parameters": {"type": "object", "properties": {"word": {"type": "string"}}}}}]
            body["messages"][-1]["content"] += " use the lookup tool"
        return body

    @staticmethod
    def judge(call_id, label, stream, reply, text):
        if reply.status != 200:
            return Outcome(call_id, label, reply.status, True, None, None, stream)
        if not stream:
            return Outcome(call_id, label, 200, True, reply.headers.get("x-litellm-response-cost"),
                           json.loads(text).get("usage"), stream)
        complete = text.rstrip().endswith(b"data: [DONE]")
        usages = [json.loads(line[6:]).get("usage") for line in text.split(b"\n")
                  if line.startswith(b"data: {") and b'"usage"' in line]
        return Outcome(call_id, label, 200, complete, None, next((u for u in reversed(usages) if u), None), stream)
