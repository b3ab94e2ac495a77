"""Goldens of packages/model's tokenizer, made by Python's `tokenizers` (0.22): tiny tokenizers trained on the text
below, and for every case its ids, offsets (code points), and decoded text.

    python oracle/tokenizer_goldens.py

writes packages/tokenizer/fixtures/<name>/{tokenizer.json,tokenizer_config.json,expected.json} and
packages/tokenizer/fixtures/demo.json (the demo model's own tokenizer on the same texts).
"""

import json
import random
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "packages/tokenizer/fixtures"

TRAIN = """
In the beginning was the word, and the word was with the people; it's theirs, isn't it? We'll see, they've said so.
def square(x):
    return x ** 2  # doesn't overflow

SELECT name, count(*) FROM words WHERE length >= 10 GROUP BY name; 1234567890 3.14159 2024-05-17
naïve café, résumé, Ångström, über, façade — “quoted” … Привет, мир! Ελληνικά γράμματα, Σίσυφος ΟΔΥΣΣΕΥΣ
你好，世界。こんにちは世界 안녕하세요 مرحبا بالعالم नमस्ते दुनिया สวัสดี 😀😀 👩‍👩‍👧 🇩🇪🇫🇷 the the the  the   the
""" * 4

TEXTS = [
    "",
    " ",
    "   ",
    "a",
    "Hello world",
    " leading space",
    "trailing space ",
    "  two  spaces   three    four  ",
    "line\nbreak\n\n\nmany\r\nwindows\ttab\t\ttabs",
    "it's, isn't, we'll, THEY'VE, I'D don't I'm you're",
    "def f(x):\n    return {'a': [x ** 2, 3.14e-10]}  # ok\n",
    "12345 67890123 1,000.50 ½ ² Ⅷ ①②③",
    "ﬁne ﬂow ﬃ Ａｂｃ１２３ ｶﾞｷﾞ ㍿ ℌ ﷺ ™",
    "e\u0301a\u0300 caf\u00e9 cafe\u0301 A\u030a Å \u1e69 s\u0323\u0307 s\u0307\u0323 q\u0307\u0323\u0301",
    "\u0301alone \u0300 x\u0327\u0301 \u0345\u0334 a\u0315\u0300\u05ae\u0062",
    "▁under ▁▁ a▁b ▁",
    "😀 😀😀 👩‍👩‍👧‍👦 🇩🇪🇫🇷 👍🏽 ❤️ 🏴󠁧󠁢󠁥󠁮󠁧󠁿",
    "你好，世界。こんにちは 안녕하세요 각 각 漢字kanji𠀀𠮷",
    "مرحبا بالعالم، الـلُّغَة العَرَبِيَّة",
    "नमस्ते दुनिया क्षत्रिय किताब ক৷ ো ொ",
    "ΟΔΥΣΣΕΥΣ Σίσυφος İstanbul ẞ ǅ",
    "the" * 200 + "x" + "ab" * 150,
    "\u00a0nbsp\u2003em\u200bzero\ufeffbom\u0085nel\u2028ls\u3000ideographic",
    "<s>special</s> <mark>inside  <mark>  </s></s>",
    "a <strip>  b  <strip> c word xword wordx word, the-word",
    "CAFÉ Mark café MARK mark",
    "\u0000nul\u0001\u001f\u007f\u0080\u009f",
    "private \ue000 \U0010ffff noncharacter \uffff replacement \ufffd",
    "1" * 40 + " " * 40 + "!" * 40,
    "later than the tables: \u32ff \u0b55\u0301 \u0c04 \U0001e030 \u1cf2 \U000105d2\u0307 a\u1ac1\u0323 \u0ebae\u0301",
    "mixed😀text漢字with▁everything ﬁ e\u0301 <mark>\n\n  end",
]

GPT2_SPECIALS = ["<s>", "</s>"]
LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def random_texts(count, seed):
    """Random mixtures of characters whose treatment differs: they find what a person does not think of."""
    rng = random.Random(seed)
    pools = [
        "abcdeTHE the  \n\t'.,", "áéíñçÅßﬁ①Ａ½㍿ﷺİΣς", "\u0301\u0300\u0327\u0323\u0308\u0345\u0334\u05b0\u064b\u093c\u0e38",
        "e\u0301o\u0308s\u0323\u0307क़ড়", "😀👩\u200d🇩🇪👍🏽\ufe0f", "漢字𠀀가각ᄀ\u1161\u11a8カﾞが", "مرحبا नमस्ते", "▁ ▁", "0123²Ⅷ",
    ]
    texts = []
    for _ in range(count):
        text = ""
        for _ in range(rng.randint(1, 12)):
            pool = rng.choice(pools)
            text += "".join(rng.choice(pool) for _ in range(rng.randint(1, 5)))
        texts.append(text)
    return texts


RANDOM = random_texts(60, 7)


def add_tokens(tokenizer):
    tokenizer.add_special_tokens(["<s>", "</s>"])
    tokenizer.add_tokens([
        AddedToken("<mark>", normalized=False, special=True),
        AddedToken("<strip>", lstrip=True, rstrip=True, normalized=False),
        AddedToken("word", single_word=True, normalized=False),
        AddedToken("Mark", normalized=True),
    ])
    return tokenizer


def byte_level(*, prefix=False, trim=True, split=None, normalizer=None, ignore_merges=False, post="byte_level"):
    tokenizer = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    if split is None:
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix, trim_offsets=trim)
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
            *split,
            pre_tokenizers.ByteLevel(add_prefix_space=prefix, use_regex=False, trim_offsets=trim),
        ])
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    tokenizer.decoder = decoders.ByteLevel()
    if post == "byte_level":
        tokenizer.post_processor = processors.ByteLevel(add_prefix_space=prefix, trim_offsets=trim)
    if post == "roberta":
        tokenizer.post_processor = processors.RobertaProcessing(("</s>", 1), ("<s>", 0), trim_offsets=trim, add_prefix_space=prefix)
    if post == "sequence":
        tokenizer.post_processor = processors.Sequence([
            processors.ByteLevel(add_prefix_space=prefix, trim_offsets=trim),
            processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 0)]),
        ])
    trainer = trainers.BpeTrainer(
        vocab_size=700, show_progress=False, special_tokens=GPT2_SPECIALS, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    tokenizer.train_from_iterator(TRAIN.split("\n"), trainer)
    return add_tokens(tokenizer)


BYTES = [f"<0x{byte:02X}>" for byte in range(256)]


def metaspace(*, scheme, unigram=False, byte_fallback=False, split=True, normalizer=None, before=None, fuse=True):
    kind = pre_tokenizers.Metaspace(prepend_scheme=scheme, split=split)
    if unigram:
        tokenizer = Tokenizer(models.Unigram())
        specials = ["<unk>", *GPT2_SPECIALS, *(BYTES if byte_fallback else [])]
        trainer = trainers.UnigramTrainer(vocab_size=len(specials) + 330, show_progress=False, special_tokens=specials, unk_token="<unk>")
    else:
        tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=fuse, byte_fallback=byte_fallback))
        specials = ["<unk>", *GPT2_SPECIALS, *(BYTES if byte_fallback else [])]
        trainer = trainers.BpeTrainer(vocab_size=len(specials) + 330, show_progress=False, special_tokens=specials, limit_alphabet=90)
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = kind if before is None else pre_tokenizers.Sequence([*before, kind])
    tokenizer.decoder = decoders.Metaspace(prepend_scheme=scheme)
    tokenizer.train_from_iterator(TRAIN.split("\n"), trainer)
    tokenizer = without_byte_specials(tokenizer, byte_fallback)
    return add_tokens(tokenizer)


def without_byte_specials(tokenizer, byte_fallback):
    """Byte tokens belong to the vocabulary only; the trainer makes them special tokens too."""
    description = json.loads(tokenizer.to_str())
    description["added_tokens"] = [t for t in description["added_tokens"] if t["content"] not in BYTES]
    description["model"]["byte_fallback"] = byte_fallback
    return Tokenizer.from_str(json.dumps(description))


def llama2():
    """Llama 2: no pre-tokenizer, the document is one word."""
    tokenizer = metaspace(scheme="never", byte_fallback=True)
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    description = json.loads(tokenizer.to_str())
    description["pre_tokenizer"] = None
    tokenizer = Tokenizer.from_str(json.dumps(description))
    tokenizer.decoder = decoders.Sequence([
        decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0),
    ])
    return tokenizer


def gemma():
    tokenizer = metaspace(scheme="never", byte_fallback=True)
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    return tokenizer


def character_bpe(normalizer, split=None):
    """Every character a token of its own or unknown: shows the alignment bare."""
    tokenizer = Tokenizer(models.BPE(vocab={"<unk>": 0, "a": 1, "e": 2}, merges=[], unk_token="<unk>"))
    tokenizer.normalizer = normalizer
    if split is not None:
        tokenizer.pre_tokenizer = split
    return tokenizer


TOKENIZERS = {
    "gpt2": lambda: byte_level(),
    "gpt2_prefix": lambda: byte_level(prefix=True),
    "gpt2_untrimmed": lambda: byte_level(trim=False),
    "gpt2_prefix_untrimmed": lambda: byte_level(prefix=True, trim=False),
    "gpt2_no_post": lambda: byte_level(post="none"),
    "roberta": lambda: byte_level(prefix=True, post="roberta"),
    "llama3": lambda: byte_level(
        split=[pre_tokenizers.Split(Regex(LLAMA3), "isolated")], ignore_merges=True, post="sequence"),
    "digits": lambda: byte_level(split=[pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.Split(
        Regex(r"'s| ?\p{L}+| ?[^\s\p{L}\p{N}]+|\s+"), "isolated")], trim=False),
    "qwen_nfc": lambda: byte_level(split=[pre_tokenizers.Split(Regex(LLAMA3), "isolated")], normalizer=normalizers.NFC(), trim=False),
    "bytes_nfkc": lambda: byte_level(normalizer=normalizers.NFKC()),
    "bytes_lower": lambda: byte_level(normalizer=normalizers.Sequence(
        [normalizers.NFD(), normalizers.Lowercase(), normalizers.StripAccents()])),
    "metaspace_always": lambda: metaspace(scheme="always"),
    "metaspace_first": lambda: metaspace(scheme="first", fuse=False),
    "metaspace_never": lambda: metaspace(scheme="never", byte_fallback=True),
    "metaspace_whole": lambda: metaspace(scheme="first", split=False, byte_fallback=True),
    "unigram": lambda: metaspace(scheme="always", unigram=True),
    "unigram_bytes": lambda: metaspace(scheme="first", unigram=True, byte_fallback=True, normalizer=normalizers.NFKC()),
    "unigram_strip": lambda: metaspace(scheme="always", unigram=True, normalizer=normalizers.Sequence(
        [normalizers.Strip(), normalizers.Replace(Regex(" {2,}"), " "), normalizers.Replace("``", '"')])),
    "llama2": llama2,
    "gemma": gemma,
    "characters_nfkd": lambda: character_bpe(normalizers.NFKD()),
    "characters_nfkc": lambda: character_bpe(normalizers.NFKC()),
    "characters_nfc": lambda: character_bpe(normalizers.NFC()),
    "characters_bert": lambda: character_bpe(normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()),
    "characters_bert_cased": lambda: character_bpe(
        normalizers.BertNormalizer(lowercase=False, strip_accents=False), pre_tokenizers.Whitespace()),
    "characters_removed": lambda: character_bpe(normalizers.Replace(Regex("[aeiou]"), ""), pre_tokenizers.WhitespaceSplit()),
    "characters_longer": lambda: character_bpe(normalizers.Replace("s", "<ess>"), pre_tokenizers.Punctuation("merged_with_previous")),
    "split_contiguous": lambda: character_bpe(normalizers.Lowercase(), pre_tokenizers.Split(Regex(r"\s"), "contiguous")),
    "split_next": lambda: character_bpe(normalizers.Prepend("xy"), pre_tokenizers.Split(Regex(r"[\s,]"), "merged_with_next")),
    "split_inverted": lambda: character_bpe(normalizers.Lowercase(), pre_tokenizers.Split(Regex(r"\p{L}+|\d"), "removed", invert=True)),
}


def expected(tokenizer, texts):
    cases = []
    for text in texts:
        encoding = tokenizer.encode(text, add_special_tokens=False)
        cases.append({
            "text": text,
            "ids": encoding.ids,
            "offsets": encoding.offsets,
            "decoded": tokenizer.decode(encoding.ids, skip_special_tokens=False),
        })
    return cases


def write(path, value):
    path.write_text(json.dumps(value, ensure_ascii=True, separators=(",", ":")) + "\n")


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    for name, make in TOKENIZERS.items():
        folder = OUT / name
        folder.mkdir(exist_ok=True)
        file = folder / "tokenizer.json"
        # Training is not the same every time (ties by hash order): what is there stays, delete it to train anew.
        if not file.exists():
            file.write_text(json.dumps(json.loads(make().to_str()), separators=(",", ":")) + "\n")
        tokenizer = Tokenizer.from_file(str(file))
        eos = "</s>" if tokenizer.token_to_id("</s>") is not None else "<unk>"
        write(folder / "tokenizer_config.json", {"eos_token": eos})
        write(folder / "expected.json", expected(tokenizer, TEXTS + RANDOM))
    demo = Tokenizer.from_file(str(ROOT / "assets/demo/model/tokenizer.json"))
    write(OUT / "demo.json", expected(demo, TEXTS + RANDOM))


if __name__ == "__main__":
    main()
