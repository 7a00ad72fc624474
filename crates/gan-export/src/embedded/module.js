// The WebAssembly module of this page: unpacking, and calls with numbers in its memory.

// The bytes in the element `id`: base64 of gzip.
async function unpacked(id) {
  const text = document.getElementById(id).textContent;
  const packed = Uint8Array.fromBase64 ? Uint8Array.fromBase64(text) : Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

class Module {
  static async open(id) {
    const { instance } = await WebAssembly.instantiate(await unpacked(id), {});
    return new Module(instance.exports);
  }

  constructor(exports) {
    this.exports = exports;
  }

  // Calls a function; arrays of numbers are passed as their addresses. Returns a copy of the result's bytes, or throws its error.
  call(name, ...values) {
    const { exports } = this;
    const blocks = [];
    const passed = values.map((value) => {
      if (!ArrayBuffer.isView(value)) return value;
      const at = exports.gan_alloc(value.byteLength);
      blocks.push([at, value.byteLength]);
      new Uint8Array(exports.memory.buffer).set(new Uint8Array(value.buffer, value.byteOffset, value.byteLength), at);
      return at;
    });
    const length = exports[name](...passed);
    for (const [at, size] of blocks) exports.gan_free(at, size);
    const found = new Uint8Array(exports.memory.buffer, exports.gan_result(), exports.gan_length()).slice();
    if (length < 0) throw new Error(new TextDecoder().decode(found));
    return found;
  }

  numbers(name, ...values) {
    return new Float32Array(this.call(name, ...values).buffer);
  }

  json(name, ...values) {
    return JSON.parse(new TextDecoder().decode(this.call(name, ...values)));
  }
}

// Shows what went wrong, once and for good.
function fault(reason) {
  const line = document.getElementById("fault");
  line.hidden = false;
  line.textContent = `Something in this page does not work in this browser: ${reason}`;
  document.documentElement.dataset.fault = reason;
}
