"""DAMSM's encoders and losses as released, and MirrorGAN's captioner."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import inception_v3, resnet152

VOCABULARY, DIM, WORDS = 5450, 256, 18


class TextEncoder(nn.Module):
    """RNN_ENCODER: embedding, dropout, LSTM of two directions."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Embedding(VOCABULARY, 300)
        self.drop = nn.Dropout(0.5)
        self.rnn = nn.LSTM(300, DIM // 2, batch_first=True, bidirectional=True)

    def forward(self, captions: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Words (B, D, T) and sentences (B, D)."""
        packed = nn.utils.rnn.pack_padded_sequence(
            self.drop(self.encoder(captions)), lengths, batch_first=True, enforce_sorted=False
        )
        states, (hidden, _) = self.rnn(packed)
        words = nn.utils.rnn.pad_packed_sequence(states, batch_first=True)[0].transpose(1, 2)
        return words, hidden.transpose(0, 1).reshape(len(captions), DIM)


class ImageEncoder(nn.Module):
    """CNN_ENCODER: Inception-v3, frozen, at 299 px."""

    def __init__(self) -> None:
        super().__init__()
        trunk = inception_v3(weights=None, init_weights=False, transform_input=False, aux_logits=False)
        self.parts = nn.ModuleList(part for name, part in trunk.named_children() if name not in _UNUSED)
        self.parts.requires_grad_(False)
        self.emb_features = nn.Conv2d(768, DIM, 1, bias=False)
        self.emb_cnn_code = nn.Linear(2048, DIM)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Regions (B, D, 17, 17) and codes (B, D)."""
        x = F.interpolate(images, size=(299, 299), mode="bilinear", align_corners=False)
        for part in self.parts[:15]:
            x = part(x)
        regions = x
        for part in self.parts[15:]:
            x = part(x)
        code = F.avg_pool2d(x, 8).flatten(1)
        return self.emb_features(regions), self.emb_cnn_code(code)


_UNUSED = ("avgpool", "dropout", "fc", "AuxLogits")


class Captioner(nn.Module):
    """CAPTION_CNN and CAPTION_RNN: ResNet-152, linear layer, batch norm; LSTM."""

    def __init__(self) -> None:
        super().__init__()
        self.resnet = nn.Sequential(*list(resnet152(weights=None).children())[:-1]).requires_grad_(False)
        self.linear, self.bn = nn.Linear(2048, 256), nn.BatchNorm1d(256, momentum=0.01)
        self.embed, self.lstm = nn.Embedding(VOCABULARY, 256), nn.LSTM(256, 512, batch_first=True)
        self.out = nn.Linear(512, VOCABULARY)

    def forward(self, images: Tensor, captions: Tensor, lengths: Tensor) -> Tensor:
        """Cross-entropy of the captions."""
        x = F.interpolate(images, size=(224, 224), mode="bilinear", align_corners=False)
        features = self.bn(self.linear(self.resnet(x).flatten(1)))
        inputs = torch.cat([features[:, None], self.embed(captions[:, :-1])], dim=1)
        pack = nn.utils.rnn.pack_padded_sequence
        packed = pack(inputs, lengths, batch_first=True, enforce_sorted=False)
        targets = pack(captions, lengths, batch_first=True, enforce_sorted=False).data
        return F.cross_entropy(self.out(self.lstm(packed)[0].data), targets)


def words_loss(regions: Tensor, words: Tensor, lengths: Tensor, gammas: tuple[float, ...]) -> Tensor:
    """Caption by caption, as released."""
    batch, similarities = len(regions), []
    for i in range(batch):
        count = int(lengths[i])
        word = words[i, :, :count][None].repeat(batch, 1, 1)
        context = _attended(word, regions, gammas[0])
        word = word.transpose(1, 2).reshape(batch * count, -1)
        context = context.transpose(1, 2).reshape(batch * count, -1)
        row = F.cosine_similarity(word, context).view(batch, count)
        similarities.append((row * gammas[1]).exp().sum(dim=1, keepdim=True).log())
    return _both_ways(torch.cat(similarities, 1) * gammas[2])


def _attended(query: Tensor, context: Tensor, gamma1: float) -> Tensor:
    batch, length, places = len(query), query.shape[2], context.shape[2] * context.shape[3]
    context = context.view(batch, -1, places)
    scores = torch.bmm(context.transpose(1, 2).contiguous(), query).view(batch * places, length).softmax(1)
    scores = scores.view(batch, places, length).transpose(1, 2).reshape(batch * length, places)
    scores = (scores * gamma1).softmax(1).view(batch, length, places)
    return torch.bmm(context, scores.transpose(1, 2).contiguous())


def sentence_loss(codes: Tensor, sentences: Tensor, gamma3: float) -> Tensor:
    """Cosine of all pairs."""
    scores = codes @ sentences.T
    norms = codes.norm(dim=1, keepdim=True) @ sentences.norm(dim=1, keepdim=True).T
    return _both_ways(scores / norms.clamp(min=1e-8) * gamma3)


def _both_ways(logits: Tensor) -> Tensor:
    labels = torch.arange(len(logits))
    return F.cross_entropy(logits, labels) + F.cross_entropy(logits.T, labels)
