// Microsoft SEAL's side of the interoperation tests: a JSON request on standard input, a JSON answer on standard output. Objects are SEAL's bytes in base64.
// Exit code 3: this Node cannot run SEAL's WebAssembly.
import { readFileSync, writeSync } from 'node:fs';

let seal;
try {
  const { default: initialize } = await import('node-seal');
  seal = await initialize({ print: () => {}, printErr: () => {} });
} catch (error) {
  process.stderr.write(String(error.message ?? error).split('\n')[0]);
  process.exit(3);
}

const modes = { none: seal.ComprModeType.none, zlib: seal.ComprModeType.zlib, zstd: seal.ComprModeType.zstd };
let made = [];
const keep = object => (made.push(object), object);
const free = () => { for (const object of made) object.delete(); made = []; };
const bytes = text => new Uint8Array(Buffer.from(text, 'base64'));
const text = (object, mode = 'none') => Buffer.from(object.saveToArray(modes[mode])).toString('base64');
const hex = id => Buffer.from(BigUint64Array.from(id.values()).buffer).toString('hex');
const message = error => typeof error?.message === 'string' ? error.message : Array.isArray(error?.message) ? error.message.join(': ') : String(error);

function load(kind, context, value) {
  const object = keep(new kind());
  object.loadFromArray(context, bytes(value));
  return object;
}

function contextOf(request) {
  const parameters = new seal.EncryptionParameters(seal.SchemeType.bfv);
  parameters.loadFromArray(bytes(request.parameters));
  const context = new seal.SEALContext(parameters, true, seal.SecLevelType.tc128);
  if (!context.parametersSet()) throw new Error('SEAL refuses the parameters: ' + context.toHuman());
  return { parameters, context };
}

function casesOf(context, { secretKey, publicKey, cases }, withLower) {
  const secret = new seal.SecretKey(), open = new seal.PublicKey();
  secret.loadFromArray(context, bytes(secretKey));
  open.loadFromArray(context, bytes(publicKey));
  const encryptor = new seal.Encryptor(context, open, secret), decryptor = new seal.Decryptor(context, secret), evaluator = new seal.Evaluator(context);
  return cases.map(({ mode, plaintext, ciphertexts }) => {
    const plain = load(seal.Plaintext, context, plaintext);
    const theirs = ciphertexts.map(value => load(seal.Ciphertext, context, value));
    const read = ciphertext => {
      const result = keep(new seal.Plaintext());
      decryptor.decrypt(ciphertext, result);
      return { plaintext: text(result, mode), budget: decryptor.invariantNoiseBudget(ciphertext) };
    };
    const fresh = keep(new seal.Ciphertext()), symmetric = keep(new seal.Ciphertext()), sum = keep(new seal.Ciphertext());
    encryptor.encrypt(plain, fresh);
    encryptor.encryptSymmetric(plain, symmetric);
    const seeded = keep(encryptor.encryptSymmetricSerializable(plain));
    evaluator.add(theirs[0], fresh, sum);
    for (const other of [...theirs.slice(1), symmetric]) evaluator.addInplace(sum, other);
    const lower = keep(new seal.Ciphertext());
    const hasLower = withLower && hex(context.firstParmsId()) !== hex(context.lastParmsId());
    if (hasLower) evaluator.cipherModSwitchToNext(fresh, lower);
    const answer = {
      read: theirs.map(read),
      made: [fresh, symmetric, sum, ...(hasLower ? [lower] : [])].map(ciphertext => ({ bytes: text(ciphertext, mode), ...read(ciphertext) })),
      seeded: text(seeded, mode),
    };
    free();
    return answer;
  });
}

const operations = {
  // Parameters in every form, the names of the levels, SEAL's keys and their small relatives.
  setUp(request) {
    const { parameters, context } = contextOf(request);
    const generator = new seal.KeyGenerator(context);
    const secret = generator.secretKey(), open = generator.createPublicKey(), seeded = generator.createPublicKeySerializable();
    const levels = [hex(context.keyParmsId())];
    const last = hex(context.lastParmsId());
    // After the last level SEAL's binding goes on with empty ones.
    for (let data = context.firstContextData(); ; data = data.nextContextData()) {
      levels.push(hex(data.parmsId()));
      if (levels.at(-1) === last) break;
    }
    const answer = { levels };
    for (const mode of request.modes) answer[mode] = { parameters: text(parameters, mode), secretKey: text(secret, mode), publicKey: text(open, mode), seededPublicKey: text(seeded, mode) };
    return answer;
  },

  // Both sides' ciphertexts, case by case, for each pair of keys.
  cases(request) {
    const { context } = contextOf(request);
    return request.groups.map(group => casesOf(context, group, request.lower));
  },

  // Slots: SEAL's encoding of values, and the values of an encoding.
  batch(request) {
    const { context } = contextOf(request);
    const encoder = new seal.BatchEncoder(context);
    const plain = new seal.Plaintext(), decoded = new seal.Plaintext();
    encoder.encode(BigUint64Array.from(request.values.map(BigInt)), plain);
    decoded.loadFromArray(context, bytes(request.plaintext));
    return { plaintext: text(plain), values: Array.from(encoder.decodeBigUint64(decoded), String) };
  },

  // Milliseconds a call.
  time(request) {
    const { context } = contextOf(request);
    const generator = new seal.KeyGenerator(context), secret = generator.secretKey();
    const encryptor = new seal.Encryptor(context, generator.createPublicKey()), decryptor = new seal.Decryptor(context, secret), evaluator = new seal.Evaluator(context);
    const plain = load(seal.Plaintext, context, request.plaintext);
    const first = new seal.Ciphertext(), second = new seal.Ciphertext(), sum = new seal.Ciphertext(), read = new seal.Plaintext();
    encryptor.encrypt(plain, second);
    const time = work => {
      for (let i = 0; i < 5; i++) work();
      const start = performance.now();
      for (let i = 0; i < request.calls; i++) work();
      return (performance.now() - start) / request.calls;
    };
    return { encrypt: time(() => encryptor.encrypt(plain, first)), decrypt: time(() => decryptor.decrypt(first, read)), add: time(() => evaluator.add(first, second, sum)) };
  },

  // What SEAL says to an object: nothing if it takes it.
  accept(request) {
    const { context } = contextOf(request);
    const kinds = { plaintext: seal.Plaintext, ciphertext: seal.Ciphertext, publicKey: seal.PublicKey, secretKey: seal.SecretKey };
    return request.objects.map(({ kind, bytes: value }) => {
      try {
        if (kind === 'parameters') new seal.EncryptionParameters(seal.SchemeType.bfv).loadFromArray(bytes(value));
        else new kinds[kind]().loadFromArray(context, bytes(value));
        return null;
      } catch (error) {
        return message(error);
      }
    });
  },
};

const request = JSON.parse(readFileSync(0, 'utf8'));
let answer;
try {
  answer = operations[request.operation](request);
} catch (error) {
  answer = { error: message(error) };
}
const output = Buffer.from(JSON.stringify(answer));
for (let start = 0; start < output.length;) {
  try {
    start += writeSync(1, output, start, output.length - start);
  } catch (error) {
    if (error.code !== 'EAGAIN') throw error;
  }
}
