/* Arithmetic, distances, conversions, quantisation and JSON, each against numbers worked out by hand: numbers */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "tensoratom.h"

#define CHECK(condition) do { if (!(condition)) { fprintf(stderr, "line %d: %s: %s\n", __LINE__, #condition, text); return 1; } } while (0)

static char text[512];
static ta_error error = {text, sizeof text, 0};

static int arithmetic(void) {
    float a[4] = {1, 2, 3, 4}, b[4] = {4, 3, 2, 1}, out[4];
    CHECK(ta_add(a, b, TA_F32, 4, out, &error) == TA_OK && out[0] == 5 && out[3] == 5);
    CHECK(ta_sub(a, b, TA_F32, 4, out, &error) == TA_OK && out[0] == -3 && out[3] == 3);
    CHECK(ta_scale(a, -2, TA_F32, 4, out, &error) == TA_OK && out[0] == -2 && out[3] == -8);
    CHECK(ta_lerp(a, b, 0.5, TA_F32, 4, out, &error) == TA_OK && out[0] == 2.5f && out[3] == 2.5f);
    float side[2] = {3, 4}, unit[2];
    CHECK(ta_normalize(side, TA_F32, 2, unit, &error) == TA_OK && fabsf(unit[0] - 0.6f) < 1e-6f && fabsf(unit[1] - 0.8f) < 1e-6f);
    CHECK(ta_softmax(side, TA_F32, 2, unit, &error) == TA_OK && fabsf(unit[0] + unit[1] - 1) < 1e-6f && unit[1] > unit[0]);
    CHECK(ta_softmax(NULL, TA_F32, 0, NULL, &error) == TA_OK);
    out[0] = 7;
    CHECK(ta_add(a, b, TA_I32, 4, out, &error) == TA_UNSUPPORTED && out[0] == 7);
    CHECK(ta_add((char *)a + 1, b, TA_F32, 3, out, &error) == TA_INVALID_ARGUMENT && out[0] == 7);
    CHECK(ta_add(a, b, TA_F32, 4, a + 1, &error) == TA_INVALID_ARGUMENT);
    return 0;
}

static int distances(void) {
    float a[2] = {3, 4}, b[2] = {0, 8};
    double out[4];
    CHECK(ta_distance(TA_EUCLIDEAN, a, b, TA_F32, 2, out, &error) == TA_OK && out[0] == 5);
    CHECK(ta_distance(TA_MANHATTAN, a, b, TA_F32, 2, out, &error) == TA_OK && out[0] == 7);
    CHECK(ta_cosine_similarity(a, b, TA_F32, 2, out, &error) == TA_OK && fabs(out[0] - 0.8) < 1e-6);
    CHECK(ta_distance(99, a, b, TA_F32, 2, out, &error) == TA_INVALID_ARGUMENT);
    /* rows with a gap of one float, and at an odd address */
    float queries[5] = {0, 0, 99, 3, 4};
    unsigned char bytes[17];
    float data[4] = {0, 0, 6, 8};
    memcpy(bytes + 1, data, sizeof data);
    CHECK(ta_cdist(TA_EUCLIDEAN, TA_F32, 2, queries, 2, 12, bytes + 1, 2, 0, out, 4, &error) == TA_OK);
    CHECK(out[0] == 0 && out[1] == 10 && out[2] == 5 && out[3] == 5);
    CHECK(ta_cdist(TA_EUCLIDEAN, TA_F32, 2, queries, 2, 12, bytes + 1, 2, 0, out, 3, &error) == TA_INVALID_SHAPE);
    uint64_t nearest[3], length;
    CHECK(ta_top_k(out, 4, 2, NULL, 0, &length, &error) == TA_OK && length == 2);
    CHECK(ta_top_k(out, 4, 2, nearest, 1, &length, &error) == TA_BUFFER_TOO_SMALL && length == 2);
    CHECK(ta_top_k(out, 4, 3, nearest, 3, &length, &error) == TA_OK && nearest[0] == 0 && nearest[1] == 2 && nearest[2] == 3);
    return 0;
}

static int conversions(void) {
    float values[3] = {1, -2.5f, 1e6f}, back[3];
    unsigned char half[7];
    CHECK(ta_convert(values, TA_F32, half + 1, TA_F16, 3, 0, &error) == TA_OK); /* any alignment */
    CHECK(ta_convert(half + 1, TA_F16, back, TA_F32, 3, 0, &error) == TA_OK);
    CHECK(back[0] == 1 && back[1] == -2.5f && isinf(back[2]));
    CHECK(ta_convert(values, TA_F32, half + 1, TA_F16, 3, 1, &error) == TA_OK);
    CHECK(ta_convert(half + 1, TA_F16, back, TA_F32, 3, 0, &error) == TA_OK && back[2] == 65504);
    float numbers[4] = {0, 1, 2, 255}, scale[2], again[4];
    int8_t codes[4];
    int32_t zero[2];
    CHECK(ta_quantize_i8(numbers, 4, 2, codes, scale, zero, &error) == TA_OK);
    CHECK(ta_dequantize_i8(codes, 4, 2, scale, zero, again, &error) == TA_OK);
    for (int i = 0; i < 4; i++) CHECK(fabsf(again[i] - numbers[i]) <= scale[i / 2]);
    CHECK(ta_quantize_i8(numbers, 4, 0, codes, scale, NULL, &error) == TA_OK);
    CHECK(ta_dequantize_i8(codes, 4, 0, scale, NULL, again, &error) == TA_OK && fabsf(again[3] - 255) <= scale[0]);
    unsigned char block[18] = {0, 0x3c, 0xf0}; /* scale 1, then pairs of codes: element i low, element i + 16 high */
    float elements[32];
    CHECK(ta_gguf_dequantize("Q4_0", 4, block, 18, elements, 32, &error) == TA_OK);
    CHECK(elements[0] == -8 && elements[16] == 7 && elements[1] == -8);
    CHECK(ta_gguf_dequantize("Q4_0", 4, block, 17, elements, 32, &error) == TA_INVALID_SHAPE);
    CHECK(ta_gguf_dequantize("Q9_9", 4, block, 18, elements, 32, &error) == TA_INVALID_ARGUMENT);
    return 0;
}

static int json(void) {
    float values[3];
    uint64_t length;
    char out[64];
    CHECK(ta_json_parse(" [1, 0.1,-2e3]", 14, values, 3, &length, &error) == TA_OK && length == 3);
    CHECK(values[0] == 1 && values[1] == 0.1f && values[2] == -2000);
    CHECK(ta_json_parse("[1,2]", 5, NULL, 0, &length, &error) == TA_OK && length == 2);
    CHECK(ta_json_parse("[1,x]", 5, values, 3, &length, &error) == TA_INVALID_ARGUMENT && strstr(text, "3"));
    CHECK(ta_json_write(values, 3, out, sizeof out, &length, &error) == TA_OK);
    CHECK(length == 17 && !memcmp(out, "[1.0,0.1,-2000.0]", 17));
    CHECK(ta_json_write(values, 3, out, 16, &length, &error) == TA_BUFFER_TOO_SMALL && length == 17);
    values[0] = NAN;
    CHECK(ta_json_write(values, 3, out, sizeof out, &length, &error) == TA_INVALID_ARGUMENT);
    CHECK(ta_json_write_with(values, 3, 0, out, sizeof out, &length, &error) == TA_INVALID_ARGUMENT);
    CHECK(ta_json_write_with(values, 3, 1, out, sizeof out, &length, &error) == TA_OK);
    CHECK(length == 18 && !memcmp(out, "[null,0.1,-2000.0]", 18));
    return 0;
}

/* Blocks that other programs cannot read, or a digest that differs from theirs, are found when a model is given to them. */
static int blocks(void) {
    float numbers[32] = {-127, 64}, back[32];
    uint8_t block[34], digest[32];
    CHECK(ta_gguf_quantize("Q8_0", 4, numbers, 32, block, 34, &error) == TA_OK);
    CHECK(block[0] == 0 && block[1] == 0x3c && block[2] == 0x81 && block[3] == 64 && block[33] == 0); /* the scale is 1 */
    CHECK(ta_gguf_dequantize("Q8_0", 4, block, 34, back, 32, &error) == TA_OK && back[0] == -127 && back[1] == 64);
    CHECK(ta_gguf_quantize("Q8_0", 4, numbers, 31, block, 34, &error) == TA_INVALID_SHAPE);
    CHECK(ta_gguf_quantize("Q6_K", 4, numbers, 32, block, 34, &error) == TA_UNSUPPORTED);
    CHECK(ta_gguf_quantize("Q9_9", 4, numbers, 32, block, 34, &error) == TA_INVALID_ARGUMENT);
    numbers[31] = INFINITY;
    block[2] = 7;
    CHECK(ta_gguf_quantize("Q8_0", 4, numbers, 32, block, 34, &error) == TA_INVALID_ARGUMENT && block[2] == 7);
    CHECK(ta_digest("abc", 3, digest, &error) == TA_OK && digest[0] == 0x64 && digest[1] == 0x37 && digest[31] == 0x85);
    CHECK(ta_digest(NULL, 0, digest, &error) == TA_OK && digest[0] == 0xaf && digest[31] == 0x62);
    CHECK(ta_digest(digest, 32, digest, &error) == TA_INVALID_ARGUMENT);
    return 0;
}

static int names(void) {
    char out[64];
    uint64_t length;
    CHECK(ta_abi_version() == TA_ABI_VERSION && ta_last_supported() >= TA_ABI_VERSION);
    CHECK(ta_status_name(TA_DISK_FULL, out, sizeof out, &length, &error) == TA_OK && length == 8 && !memcmp(out, "DiskFull", 8));
    CHECK(ta_status_name(-5, out, sizeof out, &length, &error) == TA_INVALID_ARGUMENT);
    CHECK(ta_version(out, sizeof out, &length, &error) == TA_OK && length > 4);
    CHECK(ta_isa(out, sizeof out, &length, &error) == TA_OK && (!memcmp(out, "avx", 3) || !memcmp(out, "scalar", 6)));
    return 0;
}

int main(void) {
    return arithmetic() || distances() || conversions() || json() || blocks() || names();
}
