"""Hugging Face models of tiny configurations, freshly made: nothing is downloaded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from tests.engine.zoo.cases import Function, Made, Register
from tests.engine.zoo.vision import BLACK, picture

HUGGING_FACE = Register()
TEXT = {"vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}


def embeddings(length: int = 6, width: int = 16, scale: float = 1.0) -> Tensor:
    return scale * torch.randn(1, length, width)


def made(name: str, config: str, call: Callable[[Any, Tensor], Tensor], **sizes: Any) -> Function:
    """The model `name` of transformers, of which `call` picks logits."""
    import transformers

    transformers.utils.logging.set_verbosity_error()  # of kernels that are not installed
    settings = getattr(transformers, config)(**sizes)
    settings._experts_implementation = "eager"
    model = getattr(transformers, name)(settings)
    return Function(lambda self, x: call(self.parts[0], x), model.eval())


def by_embeddings(model: Any, x: Tensor) -> Tensor:
    return model(inputs_embeds=x).logits


def last_of(model: Any, x: Tensor) -> Tensor:
    return model(inputs_embeds=x, use_cache=False).logits[:, -1]


def by_pixels(model: Any, x: Tensor) -> Tensor:
    return model(pixel_values=x).logits


@HUGGING_FACE("HF BERT")
def hf_bert() -> Made:
    return Made(made("BertForSequenceClassification", "BertConfig", by_embeddings, **TEXT), embeddings(), 0.0, 1)


@HUGGING_FACE("HF BERT", kinked=True)
def hf_bert_relu() -> Made:
    model = made(
        "BertForSequenceClassification", "BertConfig", by_embeddings, **TEXT, hidden_act="relu", initializer_range=0.2
    )
    return Made(model, embeddings(), 0.0, 1)


@HUGGING_FACE("HF DistilBERT")
def hf_distilbert() -> Made:
    sizes = {"vocab_size": 50, "dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 32}
    model = made("DistilBertForSequenceClassification", "DistilBertConfig", by_embeddings, **sizes)
    return Made(model, embeddings(scale=0.1), 0.0, 1)


@HUGGING_FACE("HF ELECTRA")
def hf_electra() -> Made:
    return Made(
        made("ElectraForSequenceClassification", "ElectraConfig", by_embeddings, **TEXT, embedding_size=16),
        embeddings(),
        0.0,
        0,
    )


@HUGGING_FACE("HF ALBERT")
def hf_albert() -> Made:
    return Made(
        made("AlbertForSequenceClassification", "AlbertConfig", by_embeddings, **TEXT, embedding_size=16),
        embeddings(),
        0.0,
        0,
    )


@HUGGING_FACE("HF GPT-2")
def hf_gpt2() -> Made:
    sizes = {"vocab_size": 50, "n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 32}
    return Made(made("GPT2LMHeadModel", "GPT2Config", last_of, **sizes), embeddings(scale=0.1), 0.0, 7)


@HUGGING_FACE("HF GPT-NeoX")
def hf_gpt_neox() -> Made:
    return Made(
        made("GPTNeoXForCausalLM", "GPTNeoXConfig", last_of, **TEXT), embeddings(), 0.0, 7, more={"singular": "0"}
    )


@HUGGING_FACE("HF Llama", singular="0")
def hf_llama() -> Made:
    return Made(made("LlamaForCausalLM", "LlamaConfig", last_of, **TEXT), embeddings(scale=0.02), 0.0, 7)


@HUGGING_FACE("HF Llama")
def hf_llama_pad() -> Made:
    return Made(made("LlamaForCausalLM", "LlamaConfig", last_of, **TEXT), embeddings(), torch.randn(16), 7)


@HUGGING_FACE("HF Llama", singular="0", kinked=True)
def hf_llama_relu() -> Made:
    return Made(made("LlamaForCausalLM", "LlamaConfig", last_of, **TEXT, hidden_act="relu"), embeddings(), 0.0, 7)


@HUGGING_FACE("HF Qwen2", singular="0")
def hf_qwen2() -> Made:
    return Made(made("Qwen2ForCausalLM", "Qwen2Config", last_of, **TEXT, num_key_value_heads=1), embeddings(), 0.0, 7)


@HUGGING_FACE("HF Mixtral", singular="0", jumps=True)
def hf_mixtral() -> Made:
    sizes = TEXT | {"num_local_experts": 3, "num_experts_per_tok": 2, "num_key_value_heads": 2, "num_hidden_layers": 1}
    return Made(made("MixtralForCausalLM", "MixtralConfig", last_of, **sizes), embeddings(), 0.0, 7)


@HUGGING_FACE("HF T5", singular="0", kinked=True)
def hf_t5() -> Made:
    def call(model: Any, x: Tensor) -> Tensor:
        first = torch.zeros(len(x), 1, dtype=torch.long)
        return model(inputs_embeds=x, decoder_input_ids=first, use_cache=False).logits[:, -1]

    sizes = {
        "vocab_size": 50,
        "d_model": 16,
        "num_layers": 1,
        "num_heads": 2,
        "d_ff": 32,
        "d_kv": 8,
        "decoder_start_token_id": 0,
    }
    return Made(made("T5ForConditionalGeneration", "T5Config", call, **sizes), embeddings(), 0.0, 7)


@HUGGING_FACE("HF OPT", kinked=True)
def hf_opt_left_padding() -> Made:
    def call(model: Any, x: Tensor) -> Tensor:
        mask = torch.tensor([[0, 0, 1, 1, 1, 1]]).expand(len(x), -1)
        return model(inputs_embeds=x, attention_mask=mask, use_cache=False).logits[:, -1]

    sizes = {
        "vocab_size": 50,
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "ffn_dim": 32,
        "max_position_embeddings": 32,
        "word_embed_proj_dim": 16,
    }
    return Made(made("OPTForCausalLM", "OPTConfig", call, **sizes), embeddings(), 0.0, 7)


@HUGGING_FACE("HF ViT")
def hf_vit() -> Made:
    sizes = {k: v for k, v in TEXT.items() if k != "vocab_size"} | {"image_size": 12, "patch_size": 4, "num_labels": 5}
    return Made(made("ViTForImageClassification", "ViTConfig", by_pixels, **sizes), picture(), 0.0, 1)


@HUGGING_FACE("HF Swin")
def hf_swin() -> Made:
    sizes = {
        "image_size": 16,
        "patch_size": 2,
        "embed_dim": 8,
        "depths": [1, 1],
        "num_heads": [1, 2],
        "window_size": 2,
        "num_labels": 5,
    }
    return Made(
        made("SwinForImageClassification", "SwinConfig", by_pixels, **sizes),
        picture(3, 16),
        0.0,
        1,
        more={"singular": "0"},
    )


@HUGGING_FACE("HF ConvNeXt")
def hf_convnext() -> Made:
    sizes = {"hidden_sizes": [8, 16], "depths": [1, 1], "num_stages": 2, "patch_size": 2, "num_labels": 5}
    return Made(
        made("ConvNextForImageClassification", "ConvNextConfig", by_pixels, **sizes),
        picture(3, 12),
        0.0,
        1,
        more={"singular": "0"},
    )


@HUGGING_FACE("HF ConvNeXt")
def hf_convnext_black() -> Made:
    sizes = {"hidden_sizes": [8, 16], "depths": [1, 1], "num_stages": 2, "patch_size": 2, "num_labels": 5}
    return Made(made("ConvNextForImageClassification", "ConvNextConfig", by_pixels, **sizes), picture(3, 12), BLACK, 1)


@HUGGING_FACE("HF SegFormer", singular="0")
def hf_segformer() -> Made:
    def call(model: Any, x: Tensor) -> Tensor:
        return model(pixel_values=x).logits.mean((2, 3))

    sizes = {
        "num_encoder_blocks": 2, "depths": [1, 1], "sr_ratios": [2, 1], "hidden_sizes": [8, 16], "patch_sizes": [3, 3],
        "strides": [2, 2], "num_attention_heads": [1, 2], "mlp_ratios": [2, 2], "decoder_hidden_size": 8,
        "num_labels": 3,
    }  # fmt: skip
    return Made(made("SegformerForSemanticSegmentation", "SegformerConfig", call, **sizes), picture(3, 16), 0.0, 1)


@HUGGING_FACE("HF Wav2Vec2", singular="0")
def hf_wav2vec2() -> Made:
    def call(model: Any, x: Tensor) -> Tensor:
        return model(input_values=x).logits.mean(1)

    sizes = TEXT | {
        "conv_dim": [8, 8], "conv_stride": [4, 2], "conv_kernel": [8, 3], "num_feat_extract_layers": 2,
        "num_conv_pos_embeddings": 4, "num_conv_pos_embedding_groups": 2, "num_hidden_layers": 1,
    }  # fmt: skip
    time = torch.arange(160) / 16
    return Made(
        made("Wav2Vec2ForCTC", "Wav2Vec2Config", call, **sizes), (time.sin() + 0.3 * (3.1 * time).sin())[None], 0.0, 3
    )


@HUGGING_FACE("HF ResNet", kinked=True)
def hf_resnet() -> Made:
    sizes = {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1], "layer_type": "basic", "num_labels": 4}
    return Made(made("ResNetForImageClassification", "ResNetConfig", by_pixels, **sizes), picture(3, 16), BLACK, 1)


@HUGGING_FACE("HF PatchTST")
def hf_patchtst() -> Made:
    def call(model: Any, x: Tensor) -> Tensor:
        return model(past_values=x).prediction_outputs[:, 0]

    sizes = {
        "num_input_channels": 2, "context_length": 24, "patch_length": 4, "patch_stride": 4,
        "prediction_length": 4, "d_model": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "ffn_dim": 32,
        "scaling": "std",
    }  # fmt: skip
    series = torch.randn(1, 24, 2).cumsum(1)
    return Made(made("PatchTSTForPrediction", "PatchTSTConfig", call, **sizes), series, 0.0, 1, more={"singular": "0"})


@HUGGING_FACE("HF Mamba")
def hf_mamba() -> Made:
    sizes = {"vocab_size": 50, "hidden_size": 16, "state_size": 4, "num_hidden_layers": 1, "time_step_rank": 4}
    return Made(made("MambaForCausalLM", "MambaConfig", last_of, **sizes), embeddings(), 0.0, 7, more={"singular": "0"})
