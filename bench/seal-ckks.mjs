// What CKKS of Microsoft SEAL costs for each million values, N = 8192, coefficient primes of 60, 40 and 40 bits, scale 2^40:
// one JSON line, medians of five passes after one that warms up, CPU milliseconds. Run as docs/secure-aggregation-compared.md says.
import initialize from '../tests/seal/node_modules/node-seal/dist/index_throws.js';

const seal = await initialize({ print: () => {}, printErr: () => {} });

const degree = 8192, scale = 2 ** 40, values = 1_000_000, passes = 5;
const parameters = new seal.EncryptionParameters(seal.SchemeType.ckks);
parameters.setPolyModulusDegree(degree);
parameters.setCoeffModulus(seal.CoeffModulus.Create(degree, Int32Array.from([60, 40, 40])));
const context = new seal.SEALContext(parameters, true, seal.SecLevelType.tc128);
if (!context.parametersSet()) throw new Error('SEAL refuses the parameters: ' + context.toHuman());

const generator = new seal.KeyGenerator(context);
const secret = generator.secretKey(), open = generator.createPublicKey();
const encryptor = new seal.Encryptor(context, open, secret), decryptor = new seal.Decryptor(context, secret);
const encoder = new seal.CKKSEncoder(context), evaluator = new seal.Evaluator(context);
const slots = encoder.slotCount(), count = Math.ceil(values / slots);
const update = Float64Array.from({ length: slots }, () => (Math.random() - 0.5) * 0.02);

const plain = new seal.Plaintext(), decrypted = new seal.Plaintext(), one = new seal.Ciphertext(), sum = new seal.Ciphertext();
const encode = () => encoder.encode(update, scale, plain);
const work = {
  encodeOnly: encode,
  symmetric: () => { encode(); encryptor.encryptSymmetric(plain, one); },
  symmetricSeeded: () => { encode(); const made = encryptor.encryptSymmetricSerializable(plain); made.saveToArray(seal.ComprModeType.none); made.delete(); },
  publicKey: () => { encode(); encryptor.encrypt(plain, one); },
  add: () => evaluator.addInplace(sum, one),
  decryptAndDecode: () => { decryptor.decrypt(one, decrypted); return encoder.decodeFloat64(decrypted); },
};

encode();
encryptor.encrypt(plain, one);
encryptor.encrypt(plain, sum);
const worst = work.decryptAndDecode().reduce((most, value, i) => Math.max(most, Math.abs(value - update[i])), 0);
if (!(worst < 1e-6)) throw new Error(`A value came back ${worst} off.`);

const result = { values, slots };
for (const [name, step] of Object.entries(work)) {
  const times = [];
  for (let pass = 0; pass <= passes; pass++) {
    const start = process.threadCpuUsage();
    for (let i = 0; i < count; i++) step();
    const { user, system } = process.threadCpuUsage(start);
    if (pass > 0) times.push((user + system) / 1000);
  }
  result[name + 'Ms'] = Math.round(times.sort((a, b) => a - b)[passes >> 1] * values / (count * slots));
}

const size = (object, mode) => Number((object.saveToArray(mode).length / slots).toFixed(2));
const seeded = encryptor.encryptSymmetricSerializable(plain);
result.bytesAValue = size(one, seal.ComprModeType.none);
result.bytesAValueZstd = size(one, seal.ComprModeType.zstd);
result.bytesAValueSeeded = size(seeded, seal.ComprModeType.none);
result.bytesAValueSeededZstd = size(seeded, seal.ComprModeType.zstd);
result.error = worst;
console.log(JSON.stringify(result));
