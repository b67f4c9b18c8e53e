"""Part 6: real training steps of image networks, BERT and vision transformers on one GPU, as data-parallel runs train them.

Recipes: "fp32" and "tf32" hold and compute in that format; "autocast_bf16" and "autocast_fp16" hold parameters in fp32 and cast at every
use, fp16 with a gradient scaler (it reads on the host whether a gradient overflowed). Image networks are torchvision's with SGD of
momentum 0.9 (vision transformers: AdamW), BERT is transformers' with both losses of pre-training, AdamW and clipped gradients, over full sequences without a mask.
Layout: "nchw", or "nhwc" (channels_last). cuDNN may try its algorithms (benchmark) where the record says so. Images and
tokens lie on the device: nothing is loaded or augmented. A step is launched eagerly, by torch.compile (the blocks of a transformer
each by itself, an image network as a whole), replayed as one CUDA graph, or eagerly under DistributedDataParallel with one rank ("ddp").
"""

import contextlib

import torch
from torch.nn import functional

from steps import capture, measured

# torchvision's name, pixels of a side
IMAGE_NETWORKS = {
    "resnet-18": ("resnet18", 224),
    "resnet-50": ("resnet50", 224),
    "resnet-101": ("resnet101", 224),
    "resnet-152": ("resnet152", 224),
    "vgg-16": ("vgg16", 224),
    "inception-v3": ("inception_v3", 299),
    "efficientnet-b0": ("efficientnet_b0", 224),
    "alexnet": ("alexnet", 224),
    "vit-l-16": ("vit_l_16", 224),
    "vit-b-16": ("vit_b_16", 224),
}
# layers, hidden, heads
BERTS = {"bert-large": (24, 1024, 16), "bert-base": (12, 768, 12)}
BERT_VOCAB = 30522
CLASSES = 1000
MASKED = 0.15  # share of the tokens that the masked-language loss asks for

# network, samples, tokens (0: images), recipe, layout, launch; the most telling first
CASES = [
    ("resnet-50", 256, 0, "autocast_bf16", "nhwc", "eager"),
    ("resnet-50", 128, 0, "tf32", "nchw", "eager"),
    ("resnet-50", 64, 0, "fp32", "nchw", "eager"),
    ("bert-large", 32, 128, "autocast_bf16", "", "eager"),
    ("bert-large", 16, 512, "autocast_bf16", "", "eager"),
    ("resnet-50", 256, 0, "autocast_fp16", "nhwc", "eager"),
    ("resnet-50", 32, 0, "autocast_bf16", "nhwc", "eager"),
    ("vgg-16", 64, 0, "tf32", "nchw", "eager"),
    ("inception-v3", 64, 0, "tf32", "nchw", "eager"),
    ("resnet-152", 64, 0, "tf32", "nchw", "eager"),
    ("alexnet", 512, 0, "tf32", "nchw", "eager"),
    ("bert-large", 32, 128, "tf32", "", "eager"),
    ("bert-large", 4, 512, "fp32", "", "eager"),
    ("vit-l-16", 64, 0, "autocast_bf16", "", "eager"),
    ("resnet-50", 64, 0, "autocast_fp16", "nchw", "eager"),
    ("resnet-50", 256, 0, "tf32", "nhwc", "eager"),
    ("vgg-16", 64, 0, "autocast_bf16", "nhwc", "eager"),
    ("inception-v3", 128, 0, "autocast_bf16", "nhwc", "eager"),
    ("resnet-152", 128, 0, "autocast_bf16", "nhwc", "eager"),
    ("efficientnet-b0", 128, 0, "autocast_bf16", "nhwc", "eager"),
    ("resnet-50", 128, 0, "autocast_bf16", "nhwc", "eager"),
    ("bert-large", 64, 128, "autocast_fp16", "", "eager"),
    ("bert-large", 8, 512, "autocast_fp16", "", "eager"),
    ("bert-large", 16, 512, "autocast_bf16", "", "compiled"),
    ("bert-large", 32, 128, "autocast_bf16", "", "compiled"),
    ("resnet-50", 32, 0, "tf32", "nchw", "eager"),
    ("resnet-50", 64, 0, "tf32", "nchw", "eager"),
    ("resnet-50", 256, 0, "tf32", "nchw", "eager"),
    ("resnet-50", 32, 0, "fp32", "nchw", "eager"),
    ("resnet-50", 128, 0, "fp32", "nchw", "eager"),
    ("resnet-50", 64, 0, "autocast_fp16", "nhwc", "eager"),
    ("resnet-50", 128, 0, "autocast_fp16", "nhwc", "eager"),
    ("resnet-50", 32, 0, "autocast_fp16", "nhwc", "eager"),
    ("resnet-50", 256, 0, "autocast_fp16", "nchw", "eager"),
    ("resnet-50", 256, 0, "autocast_bf16", "nchw", "eager"),
    ("resnet-50", 64, 0, "autocast_bf16", "nhwc", "eager"),
    ("vgg-16", 32, 0, "fp32", "nchw", "eager"),
    ("inception-v3", 32, 0, "fp32", "nchw", "eager"),
    ("resnet-152", 32, 0, "fp32", "nchw", "eager"),
    ("alexnet", 512, 0, "fp32", "nchw", "eager"),
    ("resnet-101", 64, 0, "tf32", "nchw", "eager"),
    ("resnet-18", 128, 0, "tf32", "nchw", "eager"),
    ("resnet-18", 256, 0, "autocast_bf16", "nhwc", "eager"),
    ("resnet-101", 128, 0, "autocast_bf16", "nhwc", "eager"),
    ("alexnet", 512, 0, "autocast_bf16", "nhwc", "eager"),
    ("bert-base", 64, 128, "autocast_bf16", "", "eager"),
    ("vit-b-16", 128, 0, "autocast_bf16", "", "eager"),
    ("resnet-50", 256, 0, "fp32", "nchw", "eager"),
    ("resnet-50", 32, 0, "tf32", "nhwc", "eager"),
    ("resnet-50", 128, 0, "tf32", "nhwc", "eager"),
    ("resnet-50", 64, 0, "fp32", "nhwc", "eager"),
    ("bert-large", 64, 128, "autocast_bf16", "", "eager"),
    ("resnet-50", 128, 0, "autocast_bf16", "nhwc", "compiled"),
    ("vit-l-16", 64, 0, "autocast_bf16", "", "compiled"),
    # These leave memory behind.
    ("resnet-50", 128, 0, "autocast_bf16", "nhwc", "ddp"),
    ("resnet-50", 128, 0, "autocast_bf16", "nhwc", "graph"),
    ("bert-large", 32, 128, "autocast_bf16", "", "ddp"),
]


def image_network(name):
    import torchvision
    more = {"init_weights": False} if name == "inception-v3" else {}  # its initialisation on the host takes long
    return torchvision.models.get_model(IMAGE_NETWORKS[name][0], weights=None, **more)


def bert(name, seq_len):
    import transformers
    layers, hidden, heads = BERTS[name]
    config = transformers.BertConfig(vocab_size=BERT_VOCAB, hidden_size=hidden, num_hidden_layers=layers, num_attention_heads=heads,
                                     intermediate_size=4 * hidden, max_position_embeddings=max(512, seq_len))
    config._attn_implementation = "sdpa"
    return transformers.BertForPreTraining(config)


def blocks_of(network):
    """The repeated blocks of a transformer; None for a network that is compiled as a whole."""
    if hasattr(network, "bert"):
        return list(network.bert.encoder.layer)
    if hasattr(network, "encoder") and hasattr(network.encoder, "layers"):
        return list(network.encoder.layers)
    return None


class NetworkStep:
    """One training step, ready to be run again and again."""

    def __init__(self, suite, name, samples, seq_len, recipe, layout, launch):
        device = suite.device
        torch.manual_seed(0)
        torch.backends.cudnn.benchmark = True
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = recipe != "fp32"
        self.is_bert = name in BERTS
        # Made on the device: nothing is initialised on the host.
        with torch.device(device):
            network = bert(name, seq_len) if self.is_bert else image_network(name)
        network = network.to(device).train()
        self.own = {"parameters": sum(p.numel() for p in network.parameters()), "cudnn_benchmark": True}
        if self.is_bert:
            self.inputs = torch.randint(BERT_VOCAB, (samples, seq_len), device=device)
            asked = torch.rand(samples, seq_len, device=device) < MASKED
            self.targets = torch.where(asked, torch.randint(BERT_VOCAB, (samples, seq_len), device=device), -100)
            self.follows = torch.randint(2, (samples,), device=device)
            self.optimizer = torch.optim.AdamW(network.parameters(), lr=1e-9, fused=True, capturable=launch == "graph")
            self.own.update(optimizer="AdamW fused, gradients clipped", attention="torch sdpa", vocab=BERT_VOCAB)
        else:
            side = IMAGE_NETWORKS[name][1]
            self.inputs = torch.randn(samples, 3, side, side, device=device)
            self.targets = torch.randint(CLASSES, (samples,), device=device)
            if layout == "nhwc":
                network = network.to(memory_format=torch.channels_last)
                self.inputs = self.inputs.contiguous(memory_format=torch.channels_last)
            self.own["image_size"] = side
            if name.startswith("vit"):
                self.optimizer = torch.optim.AdamW(network.parameters(), lr=1e-9, fused=True, capturable=launch == "graph")
                self.own.update(optimizer="AdamW fused", attention="torch sdpa")
            else:
                self.optimizer = torch.optim.SGD(network.parameters(), lr=1e-9, momentum=0.9, weight_decay=1e-4)
                self.own["optimizer"] = "SGD foreach, momentum 0.9"
        if launch == "compiled":
            blocks = blocks_of(network)
            for module in blocks if blocks is not None else [network]:
                module.compile()
        if launch == "ddp":
            network = distributed(network, suite.index)
            self.own["ddp_bucket_mib"] = 25
        self.network = network
        self.autocast = {"autocast_bf16": torch.bfloat16, "autocast_fp16": torch.float16}.get(recipe)
        # A modest first scale: no step of the few here overflows and is left out.
        self.scaler = torch.amp.GradScaler("cuda", init_scale=1024.0) if recipe == "autocast_fp16" else None
        self.clips = self.is_bert
        self.loss = None
        self.run = self.launch
        if launch == "graph":
            self.run = capture(self, warm_up=3)

    def described(self):
        return self.own

    def loss_of(self):
        if self.is_bert:
            out = self.network(input_ids=self.inputs)
            words = functional.cross_entropy(out.prediction_logits.view(-1, BERT_VOCAB), self.targets.view(-1))
            return words + functional.cross_entropy(out.seq_relationship_logits, self.follows)
        out = self.network(self.inputs)
        if isinstance(out, tuple):  # Inception's second head
            return functional.cross_entropy(out[0], self.targets) + 0.4 * functional.cross_entropy(out[1], self.targets)
        return functional.cross_entropy(out, self.targets)

    def launch(self):
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cuda", dtype=self.autocast) if self.autocast else contextlib.nullcontext():
            loss = self.loss_of()
        (self.scaler.scale(loss) if self.scaler else loss).backward()
        if self.clips:
            if self.scaler:
                self.scaler.unscale_(self.optimizer)
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0, foreach=True)
        if self.scaler:
            self.scaler.step(self.optimizer)
            self.scaler.update()
        else:
            self.optimizer.step()
        self.loss = loss.detach()


def distributed(network, index):
    """DistributedDataParallel over a process group of this process alone: its buckets and hooks, nobody to talk to."""
    import torch.distributed as dist
    if not dist.is_initialized():
        dist.init_process_group("nccl", store=dist.HashStore(), rank=0, world_size=1)
    # BERT's pooler and heads are all used by the loss: no parameter is left without a gradient.
    return torch.nn.parallel.DistributedDataParallel(network, device_ids=[index], gradient_as_bucket_view=True)


def run_cases(suite, cases):
    before = torch.backends.cudnn.benchmark, torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    followed = set()  # blocks of memory are written once for every network and recipe
    for name, samples, seq_len, recipe, layout, launch in cases:
        keep = launch == "eager" and (name, seq_len, recipe) not in followed
        followed.add((name, seq_len, recipe))
        what = {"seq_len": seq_len} if name in BERTS else {"layout": layout} if layout else {}

        def run():
            return measured(suite, lambda: NetworkStep(suite, name, samples, seq_len, recipe, layout, launch),
                            keep_actions=keep)

        suite.case(run, needs_s=60.0 if launch == "compiled" else 8.0, model=name, micro_batch=samples, **what, recipe=recipe,
                   launch=launch, recompute="none")
        if launch == "compiled":
            torch._dynamo.reset()
    torch.backends.cudnn.benchmark, torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before


def measure(suite):
    run_cases(suite, CASES)
